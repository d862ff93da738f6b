#include "services/cli/completion_file.h"

#include <algorithm>
#include <initializer_list>
#include <iostream>
#include <iterator>
#include <map>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "libs/base/file.h"
#include "libs/base/status.h"
#include "services/cli/scoring.h"

namespace hone::cli {
namespace {

using google::protobuf::Value;
using Fields = google::protobuf::Map<std::string, Value>;

// Null when none of the names is there.
const Value* Find(const Fields& fields, std::initializer_list<const char*> names) {
  for (const char* name : names)
    if (const auto it = fields.find(name); it != fields.end()) return &it->second;
  return nullptr;
}

absl::StatusOr<v1::FinishReason> ReadFinishReason(const Value& value) {
  static const auto* names = new std::map<std::string, v1::FinishReason>{
      {"stop", v1::FINISH_REASON_STOP_TOKEN},       {"eos", v1::FINISH_REASON_STOP_TOKEN},
      {"stop_token", v1::FINISH_REASON_STOP_TOKEN}, {"stop_string", v1::FINISH_REASON_STOP_STRING},
      {"length", v1::FINISH_REASON_LENGTH},         {"abort", v1::FINISH_REASON_ABORT}};
  const std::string text = absl::AsciiStrToLower(value.string_value());
  const auto it = names->find(std::string(absl::StripPrefix(text, "finish_reason_")));
  if (it != names->end()) return it->second;
  return absl::InvalidArgumentError(absl::StrCat("finish reason ", Quoted(value.ShortDebugString()),
                                                 ", expected stop, stop_string, length or abort"));
}

absl::StatusOr<bool> ReadLabel(const Value& value) {
  if (value.kind_case() == Value::kBoolValue) return value.bool_value();
  if (value.kind_case() == Value::kNumberValue) return value.number_value() >= 1;
  const std::string text = absl::AsciiStrToLower(value.string_value());
  if (text == "true" || text == "1" || text == "correct") return true;
  if (text == "false" || text == "0" || text == "incorrect" || text == "wrong") return false;
  return absl::InvalidArgumentError(
      absl::StrCat("label ", Quoted(value.ShortDebugString()), ", expected true or false, 1 or 0"));
}

// What the fields of a line, or of a completion in it, say beside the text.
absl::Status ReadDetails(const Fields& fields, v1::ScoreItem* item) {
  if (const Value* reason = Find(fields, {"finish_reason", "finishReason"}); reason != nullptr) {
    HONE_ASSIGN_OR_RETURN(const v1::FinishReason read, ReadFinishReason(*reason));
    item->set_finish_reason(read);
  }
  if (const Value* ids = Find(fields, {"token_ids", "tokenIds"}); ids != nullptr)
    item->set_completion_tokens(ids->list_value().values_size());
  if (const Value* tokens = Find(fields, {"completion_tokens"}); tokens != nullptr)
    item->set_completion_tokens(static_cast<int32_t>(tokens->number_value()));
  return absl::OkStatus();
}

absl::Status ReadText(const Value& value, v1::ScoreItem* item) {
  if (value.kind_case() == Value::kStructValue) {
    const Fields& fields = value.struct_value().fields();
    const Value* text = Find(fields, {"text", "completion", "content"});
    if (text == nullptr || text->kind_case() != Value::kStringValue)
      return absl::InvalidArgumentError("a completion is an object without a \"text\"");
    item->set_completion(text->string_value());
    return ReadDetails(fields, item);
  }
  if (value.kind_case() != Value::kStringValue)
    return absl::InvalidArgumentError(
        absl::StrCat("a completion is ", Quoted(value.ShortDebugString()), ", expected a text"));
  item->set_completion(value.string_value());
  return absl::OkStatus();
}

// The completion field of a line, taken out of it.
absl::StatusOr<Value> TakeCompletion(const std::string& name, v1::Prompt* prompt) {
  Fields& fields = *prompt->mutable_metadata()->mutable_fields();
  const auto names = name.empty()
                         ? std::vector<std::string>{"completion", "completions", "response"}
                         : std::vector<std::string>{name};
  for (const std::string& candidate : names) {
    if (candidate == "response" && !prompt->response().empty()) {
      Value value;
      value.set_string_value(prompt->response());
      return value;
    }
    const auto it = fields.find(candidate);
    if (it == fields.end()) continue;
    Value value = std::move(it->second);
    fields.erase(it);
    return value;
  }
  std::vector<std::string> has;
  for (const auto& [field, value] : fields) has.push_back(field);
  std::sort(has.begin(), has.end());
  return absl::InvalidArgumentError(absl::StrCat(
      "has no \"", absl::StrJoin(names, "\" or \""),
      "\"; other fields: ", has.empty() ? "none" : absl::StrJoin(has, ", "), " (see --field)"));
}

class Reader {
 public:
  Reader(const CompletionFields& fields, const std::string& prompts_file)
      : fields_(fields), prompts_file_(prompts_file) {}

  absl::Status ReadPrompts() {
    if (prompts_file_.empty()) return absl::OkStatus();
    HONE_ASSIGN_OR_RETURN(std::vector<PromptAndLine> read, ReadPromptFile(prompts_file_, 0));
    for (PromptAndLine& p : read) {
      const std::string id = p.prompt.id();
      prompts_[id] = std::move(p.prompt);
    }
    return absl::OkStatus();
  }

  absl::Status Read(PromptLine line, std::vector<FileCompletion>* out) const {
    v1::Prompt& prompt = line.prompt;
    HONE_ASSIGN_OR_RETURN(const Value completion, TakeCompletion(fields_.completion, &prompt));
    v1::ScoreItem common;
    common.set_finish_reason(v1::FINISH_REASON_STOP_TOKEN);
    const Fields& metadata = prompt.metadata().fields();
    HONE_RETURN_IF_ERROR(ReadDetails(metadata, &common));
    const Value* label = nullptr;
    if (!fields_.label.empty()) {
      label = Find(metadata, {fields_.label.c_str()});
      if (label == nullptr)
        return absl::InvalidArgumentError(absl::StrCat("has no \"", fields_.label, "\" (--label)"));
    }
    HONE_RETURN_IF_ERROR(Complete(&prompt));

    std::vector<const Value*> texts, labels;
    const bool list = completion.kind_case() == Value::kListValue;
    if (list)
      for (const Value& v : completion.list_value().values()) texts.push_back(&v);
    else
      texts.push_back(&completion);
    if (label != nullptr && label->kind_case() == Value::kListValue)
      for (const Value& v : label->list_value().values()) labels.push_back(&v);
    else
      labels.assign(texts.size(), label);
    if (labels.size() != texts.size())
      return absl::InvalidArgumentError(
          absl::StrCat("has ", texts.size(), " completions and ", labels.size(), " labels"));
    for (size_t i = 0; i < texts.size(); ++i) {
      FileCompletion& one = out->emplace_back();
      one.item = common;
      one.line = line.line;
      one.sample_index = static_cast<int32_t>(i);
      *one.item.mutable_prompt() = prompt;
      HONE_RETURN_IF_ERROR(ReadText(*texts[i], &one.item));
      if (labels[i] == nullptr) continue;
      HONE_ASSIGN_OR_RETURN(one.label, ReadLabel(*labels[i]));
    }
    return absl::OkStatus();
  }

 private:
  // The prompt as the prompt file has it, or from the fields of a saved group.
  absl::Status Complete(v1::Prompt* prompt) const {
    const Fields& fields = prompt->metadata().fields();
    if (const Value* id = Find(fields, {"promptId", "prompt_id"}); id != nullptr)
      prompt->set_id(id->string_value());
    if (const Value* text = Find(fields, {"promptText", "prompt_text"}); text != nullptr)
      prompt->set_text(text->string_value());
    if (prompts_file_.empty()) return absl::OkStatus();
    const auto it = prompts_.find(prompt->id());
    if (it == prompts_.end())
      return absl::InvalidArgumentError(
          absl::StrCat("prompt ", Quoted(prompt->id()), " is not in ", prompts_file_));
    *prompt = it->second;
    return absl::OkStatus();
  }

  const CompletionFields& fields_;
  const std::string& prompts_file_;
  std::map<std::string, v1::Prompt> prompts_;
};

}  // namespace

absl::StatusOr<std::string> ReadLines(const std::string& path) {
  constexpr int64_t kMaxBytes = int64_t{1} << 30;
  std::string text;
  if (path == "-") {
    text.assign(std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>());
  } else {
    HONE_ASSIGN_OR_RETURN(text, ReadFile(path, kMaxBytes));
  }
  if (!text.empty() && text.back() != '\n') text.push_back('\n');
  return text;
}

absl::StatusOr<std::vector<FileCompletion>> ReadCompletions(const std::string& path,
                                                            const CompletionFields& fields,
                                                            const std::string& prompts) {
  constexpr size_t kMaxErrors = 20;
  Reader reader(fields, prompts);
  HONE_RETURN_IF_ERROR(reader.ReadPrompts());
  HONE_ASSIGN_OR_RETURN(const std::string text, ReadLines(path));
  PromptFields names = fields.prompt;
  names.prompt_required = false;
  ParsedLines parsed = ParsePromptLines(text, 1, names);
  std::vector<FileCompletion> completions;
  std::vector<std::string> errors;
  for (const LineError& e : parsed.errors)
    errors.push_back(absl::StrCat(path, ":", e.line, ": ", e.message));
  for (PromptLine& line : parsed.prompts) {
    const int64_t number = line.line;
    const absl::Status read = reader.Read(std::move(line), &completions);
    if (!read.ok()) errors.push_back(absl::StrCat(path, ":", number, ": ", read.message()));
    if (errors.size() >= kMaxErrors) break;
  }
  if (!errors.empty()) return absl::InvalidArgumentError(absl::StrJoin(errors, "\n"));
  if (completions.empty())
    return absl::InvalidArgumentError(absl::StrCat(path, ": no completions in it"));
  return completions;
}

}  // namespace hone::cli
