#pragma once

// Text that remembers where it came from. A chat template joins its own text with what people
// wrote; only the former may name control tokens. Every byte therefore carries a mark that survives
// cutting and joining. Internal to libs/chat.

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "libs/tokenizer/tokenizer.h"

namespace hone {

class Text {
 public:
  Text() = default;
  // Text of the template.
  explicit Text(absl::string_view bytes) : bytes_(bytes) {}
  // Text that somebody wrote.
  static Text Foreign(absl::string_view bytes);

  const std::string& bytes() const { return bytes_; }
  size_t size() const { return bytes_.size(); }
  bool empty() const { return bytes_.empty(); }

  void Append(const Text& other);
  void Append(absl::string_view template_bytes);
  // Bytes [begin, end).
  Text Cut(size_t begin, size_t end) const;
  // The same marks over other bytes of the same length.
  Text WithBytes(std::string bytes) const;
  // Every byte marked as foreign if any byte is: for results that mix what they were made from.
  Text Mixed(std::string bytes) const;

  bool foreign_at(size_t i) const { return !marks_.empty() && marks_[i] != 0; }
  bool any_foreign() const;
  // Maximal stretches of foreign bytes, in order.
  std::vector<ByteRange> foreign() const;

 private:
  std::string bytes_;
  std::string marks_;  // one per byte, 1: foreign; empty: none is
};

}  // namespace hone
