#pragma once

// Turns tokens back into text, as a stream: a whole text is decoded by the same steps as one token
// at a time, so both come out the same by construction. Internal to libs/tokenizer.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace hone {

class JsonNode;

// One step under way in one text. What it emits goes to the next step. Not thread-safe.
class DecodeStream {
 public:
  virtual ~DecodeStream() = default;
  // The next token, or the next stretch of text once tokens have been fused. A verbatim token is an
  // added token's own text, which steps that work token by token leave alone.
  virtual void Push(absl::string_view token, bool verbatim) = 0;
  // The text ends here: emits what was held back. Nothing may be pushed after that.
  virtual void Flush() = 0;
};

// One step. Immutable, so thread-safe.
class DecodeStep {
 public:
  virtual ~DecodeStep() = default;
  virtual std::unique_ptr<DecodeStream> Open(std::unique_ptr<DecodeStream> next) const = 0;
};

class Decoder {
 public:
  // Sequence, ByteLevel, ByteFallback, Fuse, Replace (of a literal), Strip, Metaspace; a null node
  // joins tokens with one blank each.
  static absl::StatusOr<Decoder> Parse(const JsonNode& node);

  // A stream that appends well-formed UTF-8 to *out, which must outlive it.
  std::unique_ptr<DecodeStream> Open(std::string* out) const;

 private:
  static absl::Status Add(const JsonNode& node, bool* fused, Decoder* decoder);

  std::vector<std::unique_ptr<DecodeStep>> steps_;
};

}  // namespace hone
