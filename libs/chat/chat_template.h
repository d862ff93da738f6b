#pragma once

// A chat template: the part of Jinja that the templates of published models use, rendered as
// transformers renders it. Templates are untrusted: size, nesting, steps and output are bounded.
//
//   HONE_ASSIGN_OR_RETURN(const ChatTemplate chat, ChatTemplate::Parse("chat_template.jinja",
//   text)); HONE_ASSIGN_OR_RETURN(const RenderedChat r, chat.Render({{"messages", messages}}, {},
//   "")); HONE_ASSIGN_OR_RETURN(const auto ids, tokenizer.EncodeRendered(r.text, r.foreign));

#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/tokenizer/tokenizer.h"

namespace hone {

struct RenderedChat {
  std::string text;
  // What did not come from the template: nothing in there is a control token.
  std::vector<ByteRange> foreign;
};

// Immutable; thread-safe.
class ChatTemplate {
 public:
  static constexpr size_t kMaxTemplateBytes = size_t{1} << 20;

  // INVALID_ARGUMENT "name:line:column: what" for what is not of the subset (README.md).
  static absl::StatusOr<ChatTemplate> Parse(std::string name, std::string source);
  ~ChatTemplate();
  ChatTemplate(ChatTemplate&&) noexcept;
  ChatTemplate& operator=(ChatTemplate&&) noexcept;

  // `variables`: an object: messages, add_generation_prompt, tools, ... `own`: variables whose text
  // is the model's own (bos_token and the like). `date`: of strftime_now, "YYYY-MM-DD"; with an
  // empty one the function is not defined. INVALID_ARGUMENT with the place when the template raises
  // an exception or misuses a value, RESOURCE_EXHAUSTED when it spends its budget.
  absl::StatusOr<RenderedChat> Render(const nlohmann::ordered_json& variables,
                                      const std::map<std::string, std::string>& own,
                                      const std::string& date) const;

 private:
  struct Parsed;
  explicit ChatTemplate(std::unique_ptr<const Parsed> parsed);
  std::unique_ptr<const Parsed> parsed_;
};

}  // namespace hone
