#pragma once

// The Unicode classes that pre-tokenizers cut along, as the regular expression engine has them: its
// own tables, arranged for one look-up per character. Internal to libs/tokenizer; thread-safe.

#include <array>
#include <cstdint>
#include <vector>

#include "absl/strings/string_view.h"
#include "libs/tokenizer/unicode.h"

namespace hone {

enum CharacterClass : uint8_t {
  kLetter = 1,       // \p{L}
  kMark = 2,         // \p{M}
  kNumber = 4,       // \p{N}
  kPunctuation = 8,  // \p{P}
  kSymbol = 16,      // \p{S}
  kBlank = 32,       // \s
  kNewline = 64,     // \r and \n
};

class CharacterClasses {
 public:
  static const CharacterClasses& Get();

  // A set of CharacterClass bits.
  uint8_t Of(char32_t c) const { return pages_[page_[c >> 8]][c & 0xFF]; }

  // The classes of the character at text[at] and its length in bytes.
  struct Character {
    uint8_t classes;
    uint8_t length;
  };
  Character At(absl::string_view text, size_t at) const {
    const auto b = static_cast<unsigned char>(text[at]);
    if (b < 0x80) return {pages_[page_[0]][b], 1};
    const CodePoint c = CodePointAt(text, at);
    return {Of(c.value), static_cast<uint8_t>(c.length)};
  }

 private:
  CharacterClasses();

  using Page = std::array<uint8_t, 256>;
  std::array<uint16_t, 0x1100> page_{};  // by code point >> 8: index into pages_
  std::vector<Page> pages_;
};

}  // namespace hone
