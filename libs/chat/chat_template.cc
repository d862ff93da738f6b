#include "libs/chat/chat_template.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/chat/evaluator.h"
#include "libs/chat/syntax.h"
#include "libs/tokenizer/unicode.h"

namespace hone {

struct ChatTemplate::Parsed {
  TemplateSource source;
  Body body;
};

ChatTemplate::ChatTemplate(std::unique_ptr<const Parsed> parsed) : parsed_(std::move(parsed)) {}
ChatTemplate::~ChatTemplate() = default;
ChatTemplate::ChatTemplate(ChatTemplate&&) noexcept = default;
ChatTemplate& ChatTemplate::operator=(ChatTemplate&&) noexcept = default;

absl::StatusOr<ChatTemplate> ChatTemplate::Parse(std::string name, std::string source) {
  if (source.size() > kMaxTemplateBytes)
    return absl::InvalidArgumentError(
        absl::StrCat(name, ": ", source.size(), " bytes, expected at most ", kMaxTemplateBytes));
  if (const size_t bad = FirstInvalidUtf8(source); bad != absl::string_view::npos)
    return absl::InvalidArgumentError(absl::StrCat(name, ": not UTF-8 at byte ", bad));
  auto parsed = std::make_unique<Parsed>();
  parsed->source.name = std::move(name);
  // As Jinja does, every kind of line end becomes \n.
  std::string& text = parsed->source.text;
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] != '\r')
      text += source[i];
    else if (i + 1 == source.size() || source[i + 1] != '\n')
      text += '\n';
  }
  HONE_ASSIGN_OR_RETURN(parsed->body, ParseTemplate(parsed->source));
  return ChatTemplate(std::move(parsed));
}

absl::StatusOr<RenderedChat> ChatTemplate::Render(const nlohmann::ordered_json& variables,
                                                  const std::map<std::string, std::string>& own,
                                                  const std::string& date) const {
  if (!variables.is_object())
    return absl::InvalidArgumentError(
        absl::StrCat("template variables are a ", variables.type_name(), ", expected an object"));
  Scope globals(nullptr);
  for (const auto& [name, text] : own) globals.Set(name, Value::String(text));
  for (const auto& [name, json] : variables.items()) {
    HONE_ASSIGN_OR_RETURN(Value value, Value::FromJson(json));
    globals.Set(name, std::move(value));
  }
  Evaluator evaluator(parsed_->source, date);
  Text out;
  HONE_RETURN_IF_ERROR(evaluator.Run(parsed_->body, &globals, &out));
  return RenderedChat{out.bytes(), out.foreign()};
}

}  // namespace hone
