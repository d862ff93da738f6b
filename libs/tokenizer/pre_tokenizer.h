#pragma once

// Cuts text into the pieces that the model sees. Internal to libs/tokenizer; immutable, so
// thread-safe.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace hone {

class JsonNode;

struct Piece {
  size_t begin;   // bytes of Pieces::text
  size_t end;     // > begin
  bool at_start;  // begins where the whole input began
};

struct Pieces {
  std::string text;  // well-formed UTF-8
  std::vector<Piece> pieces;
};

class PreTokenizer {
 public:
  virtual ~PreTokenizer() = default;

  // Refines `pieces`; each is treated on its own, so nothing looks across a cut.
  virtual absl::Status Apply(Pieces* pieces) const = 0;

  // When the last step spells bytes in the byte-level alphabet: stops doing so and returns true.
  // From then on pieces hold the bytes themselves, and spelling them is the model's part. Only
  // before the first Apply.
  virtual bool DropAlphabet() { return false; }

  // Sequence, Split, Digits, ByteLevel, Metaspace, Whitespace, WhitespaceSplit, Punctuation; a null
  // node cuts nothing.
  static absl::StatusOr<std::unique_ptr<PreTokenizer>> Parse(const JsonNode& node);
};

}  // namespace hone
