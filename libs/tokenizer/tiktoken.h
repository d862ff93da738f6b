#pragma once

// Files of the tiktoken library: one token per line, base64 of its bytes and its rank, which is its
// id. Internal to libs/tokenizer.

#include <nlohmann/json.hpp>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace hone {

// Whether `path` is named like one: *.tiktoken, tiktoken.model.
bool IsTiktokenPath(absl::string_view path);

// The tokenizer.json document that stands for such a file; its merges follow from the ids
// (MergeRule::kById). Such a file has neither expression nor special tokens: the expression is
// chosen by the file's name and the tokenizer_class of `config`, the tokenizer_config.json beside
// it (an empty object when there is none), and added tokens are its added_tokens_decoder.
// INVALID_ARGUMENT names the line, or the class that is not known.
absl::StatusOr<nlohmann::json> TiktokenDocument(absl::string_view path, absl::string_view text,
                                                const nlohmann::json& config);

}  // namespace hone
