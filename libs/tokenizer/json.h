#pragma once

// A tokenizer.json document whose every value knows its path, so that an error says where it stood.
// Internal to libs/tokenizer. Nothing here throws.

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace hone {

// Larger documents are refused; the largest real ones have half of that.
inline constexpr size_t kMaxDocumentBytes = size_t{64} << 20;

// Parses a document of at most kMaxDocumentBytes, nested at most 64 deep; INVALID_ARGUMENT
// otherwise.
absl::StatusOr<nlohmann::json> ParseJson(absl::string_view text);

// A view into a document that must outlive it. A member that is absent and one that is null are the
// same thing, as they are for the programs that write these files.
class JsonNode {
 public:
  JsonNode(const nlohmann::json* value, std::string path) : value_(value), path_(std::move(path)) {}

  const nlohmann::json& value() const { return *value_; }
  const std::string& path() const { return path_; }
  bool is_null() const { return value_->is_null(); }

  // The member `key`; a null node when this is no object or has no such member.
  JsonNode Find(absl::string_view key) const;

  absl::StatusOr<std::string> String() const;
  // Exactly one code point.
  absl::StatusOr<std::string> Character() const;
  absl::StatusOr<bool> BoolOr(bool fallback) const;
  absl::StatusOr<int64_t> Integer(int64_t least, int64_t most) const;
  absl::StatusOr<std::vector<JsonNode>> Elements() const;

  // INVALID_ARGUMENT that names this node: "path: what".
  absl::Status Error(absl::string_view what) const;

 private:
  absl::Status WrongType(absl::string_view expected) const;

  const nlohmann::json* value_;
  std::string path_;
};

}  // namespace hone
