#pragma once

// Tokens and their ids: those of the model (what merging and look-up may produce) and the added
// ones (found in the text as they stand). Immutable after Parse; const methods are thread-safe.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace hone {

class JsonNode;

struct AddedToken {
  int32_t id = -1;
  std::string content;       // not empty
  bool special = false;      // control token: dropped by skip_special, not parsed from user text
  bool normalized = false;   // looked for in the normalised text, not in the raw one
  bool single_word = false;  // no letter or digit may touch it
  bool lstrip = false;       // swallows the white space before it
  bool rstrip = false;       // swallows the white space behind it
};

class Vocabulary {
 public:
  static constexpr int32_t kMaxId = (1 << 22) - 1;

  // `vocab`: the object token -> id of the model; `added`: the list added_tokens, or null.
  // INVALID_ARGUMENT for ids outside 0..kMaxId and for two tokens that claim one id.
  static absl::StatusOr<std::unique_ptr<Vocabulary>> Parse(const JsonNode& vocab,
                                                           const JsonNode& added);
  Vocabulary(const Vocabulary&) = delete;
  Vocabulary& operator=(const Vocabulary&) = delete;

  // Highest id + 1: the rows that an embedding needs at least.
  int32_t size() const { return static_cast<int32_t>(tokens_.size()); }
  // -1 when the model has no such token.
  int32_t ModelId(absl::string_view token) const;
  // -1 when neither the model nor the added tokens have it.
  int32_t Id(absl::string_view token) const;
  // Empty for ids that no token has.
  absl::string_view Token(int32_t id) const;
  bool IsAdded(int32_t id) const { return Has(id) && (flags_[id] & kAdded) != 0; }
  bool IsSpecial(int32_t id) const { return Has(id) && (flags_[id] & kSpecial) != 0; }
  const std::vector<AddedToken>& added() const { return added_; }

 private:
  enum Flag : uint8_t { kAdded = 1, kSpecial = 2 };

  Vocabulary() = default;
  bool Has(int32_t id) const { return id >= 0 && id < size(); }

  std::vector<std::string> tokens_;  // by id; empty where no token has the id
  std::vector<uint8_t> flags_;       // by id
  // Keys are views into tokens_.
  absl::flat_hash_map<absl::string_view, int32_t> model_ids_;
  absl::flat_hash_map<absl::string_view, int32_t> added_ids_;
  std::vector<AddedToken> added_;
};

}  // namespace hone
