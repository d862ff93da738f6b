#pragma once

// The patterns of tokenizer.json: literal strings, and regular expressions in Oniguruma's own
// syntax (the engine that Hugging Face tokenizers use, so that every construct means the same).
// With character_class.cc the only file that knows the engine. Const methods are thread-safe.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace hone {

class JsonNode;

struct Match {
  size_t begin;
  size_t end;  // may equal begin
};

class Pattern {
 public:
  virtual ~Pattern() = default;

  // Appends all matches in `text` (well-formed UTF-8) from left to right; they do not overlap.
  // RESOURCE_EXHAUSTED when a regular expression backtracks beyond all measure.
  virtual absl::Status FindAll(absl::string_view text, std::vector<Match>* matches) const = 0;

  // {"String": "..."} (not empty) or {"Regex": "..."}.
  static absl::StatusOr<std::unique_ptr<Pattern>> Parse(const JsonNode& node);
  // INVALID_ARGUMENT with the engine's message when `expression` is not one. Well-known expressions
  // run without the engine (scanner.h).
  static absl::StatusOr<std::unique_ptr<Pattern>> Regex(absl::string_view expression);
  // On the engine in any case.
  static absl::StatusOr<std::unique_ptr<Pattern>> Engine(absl::string_view expression);
  static std::unique_ptr<Pattern> Literal(absl::string_view text);
};

}  // namespace hone
