#include "libs/chat/chat_format.h"

#include "absl/strings/str_cat.h"
#include "libs/base/file.h"
#include "libs/base/status.h"

namespace hone {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMaxConfigBytes = size_t{16} << 20;

absl::StatusOr<Json> ParseJsonText(absl::string_view text, absl::string_view what) {
  Json json = Json::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) return absl::InvalidArgumentError(absl::StrCat(what, ": not JSON"));
  return json;
}

// The text of tokenizer_config.json's `chat_template`: a string, or a list of {name, template} of
// which "default" is meant, or with tools "tool_use" if there is one.
absl::StatusOr<std::string> TemplateText(const Json& config, const std::string& path, bool tools) {
  const auto it = config.find("chat_template");
  if (it == config.end() || it->is_null())
    return absl::NotFoundError(
        absl::StrCat(path,
                     " has no chat_template, and there is no chat_template.jinja beside it; "
                     "name one in model.chat.template_file"));
  if (it->is_string()) return it->get<std::string>();
  if (it->is_array()) {
    for (const char* name : {"tool_use", "default"})
      for (const Json& entry : *it)
        if ((tools || name != absl::string_view("tool_use")) && entry.is_object() &&
            entry.value("name", Json()) == name && entry.value("template", Json()).is_string())
          return entry["template"].get<std::string>();
  }
  return absl::InvalidArgumentError(absl::StrCat(
      path, ": chat_template: expected a string or a list with a template named default"));
}

// "<s>", or {"content": "<s>", ...} as older files have it.
std::string TokenText(const Json& json) {
  const Json& text = json.is_object() && json.contains("content") ? json["content"] : json;
  return text.is_string() ? text.get<std::string>() : std::string();
}

Json Message(absl::string_view role, absl::string_view content) {
  return {{"role", std::string(role)}, {"content", std::string(content)}};
}

}  // namespace

absl::StatusOr<ChatFormat> ChatFormat::Load(const v1::ChatSpec& spec, const std::string& folder,
                                            const Tokenizer& tokenizer) {
  const std::string config_path = absl::StrCat(folder, "/tokenizer_config.json");
  Json config = Json::object();
  auto config_text = ReadFile(config_path, kMaxConfigBytes);
  if (config_text.ok()) {
    HONE_ASSIGN_OR_RETURN(config, ParseJsonText(*config_text, config_path));
    if (!config.is_object())
      return absl::InvalidArgumentError(absl::StrCat(config_path, ": expected an object"));
  } else if (!absl::IsNotFound(config_text.status())) {
    return config_text.status();
  }
  Json variables = Json::object();
  if (!spec.variables().empty()) {
    HONE_ASSIGN_OR_RETURN(variables, ParseJsonText(spec.variables(), "model.chat.variables"));
    if (!variables.is_object())
      return absl::InvalidArgumentError(
          absl::StrCat("model.chat.variables: ", spec.variables(), ", expected a JSON object"));
  }
  const auto tools = variables.find("tools");
  const bool has_tools = tools != variables.end() && tools->is_array() && !tools->empty();
  std::string path = spec.template_file();
  if (path.empty()) path = absl::StrCat(folder, "/chat_template.jinja");
  auto text = ReadFile(path, ChatTemplate::kMaxTemplateBytes);
  if (absl::IsNotFound(text.status()) && spec.template_file().empty()) {
    path = absl::StrCat(config_path, " chat_template");
    text = TemplateText(config, config_path, has_tools);
  }
  HONE_RETURN_IF_ERROR(text.status());
  HONE_ASSIGN_OR_RETURN(ChatTemplate parsed, ChatTemplate::Parse(path, *std::move(text)));

  ChatFormat format(std::move(parsed), tokenizer);
  for (const char* name :
       {"bos_token", "eos_token", "unk_token", "pad_token", "sep_token", "cls_token", "mask_token"})
    if (const auto it = config.find(name); it != config.end())
      if (std::string token = TokenText(*it); !token.empty())
        format.special_tokens_[name] = std::move(token);
  if (const auto eos = format.special_tokens_.find("eos_token");
      eos != format.special_tokens_.end()) {
    format.end_of_turn_ = tokenizer.Id(eos->second);
    if (!format.end_of_turn_)
      return absl::InvalidArgumentError(
          absl::StrCat(config_path, ": eos_token \"", eos->second, "\" is not in the tokenizer"));
  }
  format.variables_ = std::move(variables);
  format.system_prompt_ = spec.system_prompt();
  format.date_ = spec.date();
  return format;
}

absl::StatusOr<PromptTokens> ChatFormat::Encode(const v1::Prompt& prompt) const {
  Json messages = Json::array();
  if (prompt.messages().empty()) {
    messages.push_back(Message("user", prompt.text()));
  } else {
    HONE_ASSIGN_OR_RETURN(messages, ParseJsonText(prompt.messages(), "messages"));
    if (!messages.is_array() || messages.empty() || !messages[0].is_object())
      return absl::InvalidArgumentError("messages: expected a list of objects");
  }
  if (!system_prompt_.empty() && messages[0].value("role", Json()) != "system")
    messages.insert(messages.begin(), Message("system", system_prompt_));
  Json variables = variables_;
  variables["messages"] = std::move(messages);
  variables["add_generation_prompt"] = true;
  HONE_ASSIGN_OR_RETURN(RenderedChat rendered, template_.Render(variables, special_tokens_, date_));
  PromptTokens tokens;
  HONE_ASSIGN_OR_RETURN(tokens.ids, tokenizer_->EncodeRendered(rendered.text, rendered.foreign));
  tokens.text = std::move(rendered.text);
  return tokens;
}

absl::StatusOr<std::vector<int32_t>> ChatFormat::EncodeResponse(absl::string_view response) const {
  HONE_ASSIGN_OR_RETURN(std::vector<int32_t> ids, tokenizer_->Encode(response));
  if (!end_of_turn_)
    return absl::FailedPreconditionError(
        "the model's tokenizer_config.json names no eos_token to end a demonstration with");
  ids.push_back(*end_of_turn_);
  return ids;
}

}  // namespace hone
