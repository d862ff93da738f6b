#pragma once

// The part of a tokenizer that turns one piece of text into ids. Internal to libs/tokenizer.

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/tokenizer/vocabulary.h"

namespace hone {

class JsonNode;

class TokenModel {
 public:
  virtual ~TokenModel() = default;

  // Appends the ids of `piece` (well-formed UTF-8, not empty). Unless `allow_special`, no id of a
  // special token comes out (the unknown token excepted), so that user text cannot spell one.
  // Thread-safe.
  virtual absl::Status Encode(absl::string_view piece, bool allow_special,
                              std::vector<int32_t>* ids) const = 0;
};

// Byte pair encoding as Hugging Face files define it: byte_fallback, fuse_unk, ignore_merges, both
// spellings of merges. `vocabulary` must outlive the model.
absl::StatusOr<std::unique_ptr<TokenModel>> MakeBpe(const JsonNode& model,
                                                    const Vocabulary& vocabulary);

// One token per piece; a piece that is no token becomes unk_token, or is an error without one.
absl::StatusOr<std::unique_ptr<TokenModel>> MakeWordLevel(const JsonNode& model,
                                                          const Vocabulary& vocabulary);

}  // namespace hone
