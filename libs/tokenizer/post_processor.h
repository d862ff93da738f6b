#pragma once

// Adds what belongs around a whole text: begin-of-sequence and the like. Internal to
// libs/tokenizer; immutable, so thread-safe.

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"

namespace hone {

class JsonNode;
class Vocabulary;

class PostProcessor {
 public:
  // Changes nothing.
  PostProcessor() = default;

  // TemplateProcessing (its `single` template), ByteLevel (changes offsets only, so nothing here),
  // Sequence; a null node adds nothing.
  static absl::StatusOr<PostProcessor> Parse(const JsonNode& node, const Vocabulary& vocabulary);

  void Apply(std::vector<int32_t>* ids) const;

 private:
  // The text comes between; a Sequence of templates nests.
  std::vector<int32_t> before_;
  std::vector<int32_t> after_;
};

}  // namespace hone
