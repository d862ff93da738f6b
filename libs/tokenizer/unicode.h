#pragma once

// UTF-8 and the few character classes that Hugging Face pipelines are defined with. Functions are
// pure and thread-safe.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace hone {

// Index of the first byte that does not belong to a well-formed UTF-8 sequence; npos when all do.
size_t FirstInvalidUtf8(absl::string_view text);

struct CodePoint {
  char32_t value;
  int length;  // bytes, 1..4
};

// The code point that starts at text[at]; `text` must be well-formed UTF-8 and `at` a boundary.
CodePoint CodePointAt(absl::string_view text, size_t at);

// `c` is at most U+10FFFF and no surrogate.
void AppendUtf8(char32_t c, std::string* out);

// Unicode White_Space.
bool IsWhitespace(char32_t c);
// General categories Nd, Nl and No.
bool IsNumeric(char32_t c);
// UTS #18 \w: Alphabetic, M, Nd, Pc, Join_Control.
bool IsWord(char32_t c);
// ASCII punctuation (symbols like '$' and '+' included) and general category P.
bool IsPunctuation(char32_t c);

// The alphabet of byte-level vocabularies: every byte has one printable character. Bytes 33..126,
// 161..172 and 174..255 stand for themselves, the other 68 follow in order from U+0100.
const std::array<std::string, 256>& ByteLevelAlphabet();
// The byte that `c` stands for, -1 when it stands for none.
int ByteLevelByte(char32_t c);

// Turns a stream of bytes, cut anywhere, into well-formed UTF-8: holds back at most 3 bytes of a
// sequence that may still become whole and writes U+FFFD per maximal ill-formed subpart, so the
// text does not depend on where the stream was cut. Not thread-safe.
class Utf8Assembler {
 public:
  void Push(absl::string_view bytes, std::string* out);
  // No more bytes follow: what is held back becomes one U+FFFD.
  void Flush(std::string* out);

 private:
  std::array<char, 4> held_{};
  int size_ = 0;      // bytes held back
  int expected_ = 0;  // length that the first held byte announces
};

}  // namespace hone
