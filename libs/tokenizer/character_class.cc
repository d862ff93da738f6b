#include "libs/tokenizer/character_class.h"

#include <oniguruma.h>

#include <algorithm>
#include <cstring>

#include "libs/base/check.h"

namespace hone {

const CharacterClasses& CharacterClasses::Get() {
  static const auto& classes = *new CharacterClasses;
  return classes;
}

CharacterClasses::CharacterClasses() {
  constexpr size_t kCodePoints = 0x110000;
  std::vector<uint8_t> all(kCodePoints);
  OnigEncoding encoding = ONIG_ENCODING_UTF8;
  const auto add = [&](const char* property, uint8_t bit) {
    auto* name = reinterpret_cast<OnigUChar*>(const_cast<char*>(property));
    const int type = encoding->property_name_to_ctype(encoding, name, name + std::strlen(property));
    OnigCodePoint single_bytes;
    const OnigCodePoint* ranges = nullptr;
    HONE_CHECK(type >= 0 && encoding->get_ctype_code_range(type, &single_bytes, &ranges) == 0)
        << property;
    // The number of ranges, then first and last of each.
    for (OnigCodePoint i = 0; i < ranges[0]; ++i)
      for (OnigCodePoint c = ranges[1 + 2 * i];
           c <= std::min<OnigCodePoint>(ranges[2 + 2 * i], kCodePoints - 1); ++c)
        all[c] |= bit;
  };
  add("L", kLetter);
  add("M", kMark);
  add("N", kNumber);
  add("P", kPunctuation);
  add("S", kSymbol);
  add("space", kBlank);
  all['\r'] |= kNewline;
  all['\n'] |= kNewline;
  for (size_t p = 0; p < page_.size(); ++p) {
    Page page;
    std::memcpy(page.data(), &all[p << 8], page.size());
    const auto same = std::find(pages_.begin(), pages_.end(), page);
    page_[p] = static_cast<uint16_t>(same - pages_.begin());
    if (same == pages_.end()) pages_.push_back(page);
  }
}

}  // namespace hone
