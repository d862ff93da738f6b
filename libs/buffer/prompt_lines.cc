#include "libs/buffer/prompt_lines.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "nlohmann/json.hpp"

namespace hone {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMaxErrors = 20;
// Deeper values are refused: they would be turned into protobufs by recursion.
constexpr int kMaxDepth = 32;

void ToValue(const Json& json, google::protobuf::Value* value) {
  switch (json.type()) {
    case Json::value_t::boolean:
      value->set_bool_value(json.get<bool>());
      break;
    case Json::value_t::number_integer:
    case Json::value_t::number_unsigned:
    case Json::value_t::number_float:
      value->set_number_value(json.get<double>());
      break;
    case Json::value_t::string:
      value->set_string_value(json.get_ref<const std::string&>());
      break;
    case Json::value_t::array:
      value->mutable_list_value();
      for (const Json& e : json) ToValue(e, value->mutable_list_value()->add_values());
      break;
    case Json::value_t::object:
      value->mutable_struct_value();
      for (const auto& [k, v] : json.items())
        ToValue(v, &(*value->mutable_struct_value()->mutable_fields())[k]);
      break;
    default:
      value->set_null_value(google::protobuf::NULL_VALUE);
  }
}

absl::Status Wrong(absl::string_view field, const Json& got, absl::string_view want) {
  return absl::InvalidArgumentError(
      absl::StrCat("\"", field, "\" is a ", got.type_name(), ", expected ", want));
}

absl::Status TakeString(const std::string& field, const Json& value, std::string* out) {
  if (!value.is_string()) return Wrong(field, value, "a string");
  *out = value.get<std::string>();
  return absl::OkStatus();
}

// A conversation. `text` becomes what the user said last.
absl::Status SetMessages(const std::string& field, const Json& messages, v1::Prompt* p) {
  const auto wrong = [&](const auto&... what) {
    return absl::InvalidArgumentError(absl::StrCat("\"", field, "\": ", what...));
  };
  if (!p->text().empty())
    return absl::InvalidArgumentError("has both a prompt and messages, expected one of them");
  if (!messages.is_array() || messages.empty())
    return wrong("expected a list of messages that is not empty");
  for (size_t i = 0; i < messages.size(); ++i) {
    const Json& m = messages[i];
    if (!m.is_object() || !m.contains("role") || !m["role"].is_string())
      return wrong("message ", i, " has no \"role\" (a string)");
    const auto content = m.find("content");
    const bool text = content != m.end() && content->is_string();
    if (!text && !m.contains("tool_calls"))
      return wrong("message ", i, " has no \"content\" (a string)");
    if (text && m["role"] == "user") p->set_text(content->get<std::string>());
  }
  if (p->text().empty()) return wrong("no message of the user has a text");
  p->set_messages(messages.dump());
  return absl::OkStatus();
}

absl::Status SetField(const std::string& field, const Json& value, v1::Prompt* p) {
  if (field == "prompt" || field == "text") {
    if (!p->text().empty())
      return absl::InvalidArgumentError("has both \"prompt\" and \"text\", expected one of them");
    if (field == "prompt" && value.is_array()) return SetMessages(field, value, p);
    HONE_RETURN_IF_ERROR(TakeString(field, value, p->mutable_text()));
    return p->text().empty() ? absl::InvalidArgumentError(absl::StrCat("\"", field, "\" is empty"))
                             : absl::OkStatus();
  }
  if (field == "messages") return SetMessages(field, value, p);
  if (field == "response") return TakeString(field, value, p->mutable_response());
  if (field == "answer") {
    if (value.is_number() || value.is_boolean())
      p->set_answer(value.dump());
    else if (!value.is_null())
      return TakeString(field, value, p->mutable_answer());
    return absl::OkStatus();
  }
  if (field == "id") {
    if (value.is_number_integer())
      p->set_id(value.dump());
    else if (!value.is_string())
      return Wrong(field, value, "a string or an integer");
    else
      p->set_id(value.get<std::string>());
    return p->id().empty() || p->id().size() > 512
               ? absl::InvalidArgumentError("\"id\" must have 1 to 512 bytes")
               : absl::OkStatus();
  }
  ToValue(value, &(*p->mutable_metadata()->mutable_fields())[field]);
  return absl::OkStatus();
}

// Nesting of brackets outside of strings. Malformed input gets a number too; the parser refuses it.
int Depth(absl::string_view json) {
  int depth = 0;
  int deepest = 0;
  bool in_string = false;
  for (size_t i = 0; i < json.size(); ++i) {
    const char c = json[i];
    if (in_string && c == '\\')
      ++i;
    else if (c == '"')
      in_string = !in_string;
    else if (!in_string && (c == '{' || c == '['))
      deepest = std::max(deepest, ++depth);
    else if (!in_string && (c == '}' || c == ']'))
      --depth;
  }
  return deepest;
}

}  // namespace

absl::StatusOr<v1::Prompt> ParsePromptLine(absl::string_view text, int64_t line,
                                           const PromptFields& fields) {
  if (Depth(text) > kMaxDepth)
    return absl::InvalidArgumentError(absl::StrCat("nested more than ", kMaxDepth, " deep"));
  Json json;
  try {
    json = Json::parse(text.begin(), text.end());
  } catch (const Json::exception& e) {
    return absl::InvalidArgumentError(absl::StrCat("not JSON: ", e.what()));
  }
  if (!json.is_object())
    return absl::InvalidArgumentError(
        absl::StrCat("is a JSON ", json.type_name(), ", expected an object"));
  v1::Prompt prompt;
  const std::pair<const std::string&, const char*> names[] = {
      {fields.prompt, "prompt"}, {fields.answer, "answer"}, {fields.id, "id"}};
  for (const auto& [field, value] : json.items()) {
    std::string known = field;
    bool displaced = false;
    for (const auto& [name, usual] : names) {
      if (field == name) known = usual;
      displaced = displaced || (name != usual && field == usual);
    }
    if (displaced && known == field)
      ToValue(value, &(*prompt.mutable_metadata()->mutable_fields())[field]);
    else
      HONE_RETURN_IF_ERROR(SetField(known, value, &prompt));
  }
  if (prompt.text().empty() && fields.prompt_required)
    return absl::InvalidArgumentError(
        "has no \"prompt\" (a string: the rendered prompt) and no \"messages\"");
  if (prompt.id().empty()) prompt.set_id(absl::StrCat(line));
  return prompt;
}

ParsedLines ParsePromptLines(absl::string_view lines, int64_t first_line,
                             const PromptFields& fields) {
  ParsedLines parsed;
  while (!lines.empty() && parsed.errors.size() < kMaxErrors) {
    const size_t end = lines.find('\n');
    const absl::string_view line = lines.substr(0, end);
    const int64_t number = first_line + parsed.lines++;
    lines.remove_prefix(end == absl::string_view::npos ? lines.size() : end + 1);
    if (absl::StripAsciiWhitespace(line).empty()) continue;
    absl::StatusOr<v1::Prompt> prompt = ParsePromptLine(line, number, fields);
    if (prompt.ok())
      parsed.prompts.push_back({number, *std::move(prompt)});
    else
      parsed.errors.push_back({number, std::string(prompt.status().message())});
  }
  return parsed;
}

}  // namespace hone
