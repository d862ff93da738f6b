#pragma once

// How one model wants conversations written: its chat template with its special tokens, read from
// a folder in Hugging Face layout.

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/chat/chat_template.h"
#include "libs/tokenizer/tokenizer.h"
#include "proto/hone/v1/config.pb.h"
#include "proto/hone/v1/trajectory.pb.h"

namespace hone {

// What a model is given.
struct PromptTokens {
  std::vector<int32_t> ids;
  std::string text;  // what the ids stand for, control tokens written out
};

// Immutable; thread-safe.
class ChatFormat {
 public:
  // The template is spec.template_file if set, else chat_template.jinja or the chat_template of
  // tokenizer_config.json in `folder`; special tokens come from tokenizer_config.json.
  // `tokenizer` must outlive this. NOT_FOUND when the folder has no template; INVALID_ARGUMENT for
  // a template, a token or variables that cannot be used, with file and place.
  static absl::StatusOr<ChatFormat> Load(const v1::ChatSpec& spec, const std::string& folder,
                                         const Tokenizer& tokenizer);

  // The conversation of `prompt` (its messages, or its text as the user's), with the run's system
  // prompt in front unless it brings its own, up to where the model begins to speak. Control
  // tokens come from the template only: "<|im_end|>" in a message is text.
  absl::StatusOr<PromptTokens> Encode(const v1::Prompt& prompt) const;
  // A demonstration as the model would have sampled it: the text, then the token that ends a turn.
  absl::StatusOr<std::vector<int32_t>> EncodeResponse(absl::string_view response) const;

 private:
  ChatFormat(ChatTemplate chat_template, const Tokenizer& tokenizer)
      : template_(std::move(chat_template)), tokenizer_(&tokenizer) {}

  ChatTemplate template_;
  const Tokenizer* tokenizer_;
  std::map<std::string, std::string> special_tokens_;  // bos_token -> "<s>"
  nlohmann::ordered_json variables_;
  std::string system_prompt_;
  std::string date_;
  std::optional<int32_t> end_of_turn_;
};

}  // namespace hone
