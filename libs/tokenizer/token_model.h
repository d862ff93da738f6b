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

// Where merges come from.
enum class MergeRule : uint8_t {
  kListed,  // the document's list, in its order
  kById,    // any two tokens that together spell a third one, the lowest id first (tiktoken)
};

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
// spellings of merges. `spell_bytes`: pieces come as they are and their bytes have to be spelled in
// the byte-level alphabet. `vocabulary` must outlive the model.
absl::StatusOr<std::unique_ptr<TokenModel>> MakeBpe(const JsonNode& model,
                                                    const Vocabulary& vocabulary, bool spell_bytes,
                                                    MergeRule rule);

// One token per piece; a piece that is no token becomes unk_token, or is an error without one.
absl::StatusOr<std::unique_ptr<TokenModel>> MakeWordLevel(const JsonNode& model,
                                                          const Vocabulary& vocabulary);

}  // namespace hone
