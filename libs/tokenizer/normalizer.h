#pragma once

// What is done to text before it is cut. Internal to libs/tokenizer; immutable, so thread-safe.

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace hone {

class JsonNode;

class Normalizer {
 public:
  virtual ~Normalizer() = default;

  // Changes `text` (well-formed UTF-8) in place. RESOURCE_EXHAUSTED when it grows beyond measure.
  virtual absl::Status Apply(std::string* text) const = 0;

  // Sequence, NFC, NFD, NFKC, NFKD, Prepend, Replace, Strip, Lowercase; a null node changes
  // nothing.
  static absl::StatusOr<std::unique_ptr<Normalizer>> Parse(const JsonNode& node);
};

}  // namespace hone
