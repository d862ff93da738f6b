#include "libs/tokenizer/unicode.h"

#include <unicode/uchar.h>

namespace hone {
namespace {

constexpr absl::string_view kReplacement = "\xEF\xBF\xBD";

// The sequence length that a first byte announces, 0 when no sequence starts with it.
int AnnouncedLength(unsigned char b) {
  if (b < 0x80) return 1;
  if (b >= 0xC2 && b <= 0xDF) return 2;
  if (b >= 0xE0 && b <= 0xEF) return 3;
  if (b >= 0xF0 && b <= 0xF4) return 4;
  return 0;
}

// Whether `b` may follow `first` as byte number `index` (1..3). The second byte is where overlong
// forms, surrogates and values above U+10FFFF show.
bool MayFollow(unsigned char first, int index, unsigned char b) {
  if (index == 1) {
    if (first == 0xE0) return b >= 0xA0 && b <= 0xBF;
    if (first == 0xED) return b >= 0x80 && b <= 0x9F;
    if (first == 0xF0) return b >= 0x90 && b <= 0xBF;
    if (first == 0xF4) return b >= 0x80 && b <= 0x8F;
  }
  return b >= 0x80 && b <= 0xBF;
}

bool StandsForItself(int b) {
  return (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || (b >= 174 && b <= 255);
}

constexpr int kFirstShifted = 0x100;
constexpr int kShifted = 68;

}  // namespace

size_t FirstInvalidUtf8(absl::string_view text) {
  size_t i = 0;
  while (i < text.size()) {
    const auto first = static_cast<unsigned char>(text[i]);
    if (first < 0x80) {
      ++i;
      continue;
    }
    const int length = AnnouncedLength(first);
    if (length == 0 || i + length > text.size()) return i;
    for (int k = 1; k < length; ++k)
      if (!MayFollow(first, k, static_cast<unsigned char>(text[i + k]))) return i;
    i += length;
  }
  return absl::string_view::npos;
}

CodePoint CodePointAt(absl::string_view text, size_t at) {
  const auto byte = [&](int k) {
    return static_cast<char32_t>(static_cast<unsigned char>(text[at + k]));
  };
  const char32_t first = byte(0);
  if (first < 0x80) return {first, 1};
  if (first < 0xE0) return {(first & 0x1F) << 6 | (byte(1) & 0x3F), 2};
  if (first < 0xF0) return {(first & 0x0F) << 12 | (byte(1) & 0x3F) << 6 | (byte(2) & 0x3F), 3};
  return {(first & 0x07) << 18 | (byte(1) & 0x3F) << 12 | (byte(2) & 0x3F) << 6 | (byte(3) & 0x3F),
          4};
}

void AppendUtf8(char32_t c, std::string* out) {
  const auto put = [&](char32_t b) { out->push_back(static_cast<char>(b)); };
  if (c < 0x80) {
    put(c);
  } else if (c < 0x800) {
    put(0xC0 | c >> 6);
    put(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    put(0xE0 | c >> 12);
    put(0x80 | (c >> 6 & 0x3F));
    put(0x80 | (c & 0x3F));
  } else {
    put(0xF0 | c >> 18);
    put(0x80 | (c >> 12 & 0x3F));
    put(0x80 | (c >> 6 & 0x3F));
    put(0x80 | (c & 0x3F));
  }
}

bool IsWhitespace(char32_t c) {
  if (c < 0x80) return c == ' ' || (c >= 9 && c <= 13);
  return u_isUWhiteSpace(static_cast<UChar32>(c));
}

bool IsNumeric(char32_t c) {
  if (c < 0x80) return c >= '0' && c <= '9';
  return (U_GET_GC_MASK(static_cast<UChar32>(c)) & U_GC_N_MASK) != 0;
}

bool IsWord(char32_t c) {
  const auto u = static_cast<UChar32>(c);
  return u_hasBinaryProperty(u, UCHAR_ALPHABETIC) ||
         (U_GET_GC_MASK(u) & (U_GC_M_MASK | U_GC_ND_MASK | U_GC_PC_MASK)) != 0 ||
         u_hasBinaryProperty(u, UCHAR_JOIN_CONTROL);
}

bool IsPunctuation(char32_t c) {
  if (c < 0x80)
    return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') ||
           (c >= '{' && c <= '~');
  return (U_GET_GC_MASK(static_cast<UChar32>(c)) & U_GC_P_MASK) != 0;
}

const std::array<std::string, 256>& ByteLevelAlphabet() {
  static const std::array<std::string, 256> alphabet = [] {
    std::array<std::string, 256> a;
    int shifted = 0;
    for (int b = 0; b < 256; ++b)
      AppendUtf8(static_cast<char32_t>(StandsForItself(b) ? b : kFirstShifted + shifted++), &a[b]);
    return a;
  }();
  return alphabet;
}

int ByteLevelByte(char32_t c) {
  static const std::array<int16_t, kFirstShifted + kShifted> bytes = [] {
    std::array<int16_t, kFirstShifted + kShifted> t;
    t.fill(-1);
    int shifted = 0;
    for (int b = 0; b < 256; ++b)
      t[StandsForItself(b) ? b : kFirstShifted + shifted++] = static_cast<int16_t>(b);
    return t;
  }();
  return c < bytes.size() ? bytes[c] : -1;
}

void Utf8Assembler::Push(absl::string_view bytes, std::string* out) {
  for (const char c : bytes) {
    const auto b = static_cast<unsigned char>(c);
    if (size_ > 0) {
      if (MayFollow(static_cast<unsigned char>(held_[0]), size_, b)) {
        held_[size_++] = c;
        if (size_ == expected_) {
          out->append(held_.data(), size_);
          size_ = 0;
        }
        continue;
      }
      Flush(out);  // the sequence ends here, ill-formed; `b` starts anew
    }
    expected_ = AnnouncedLength(b);
    if (expected_ == 1) {
      out->push_back(c);
    } else if (expected_ == 0) {
      out->append(kReplacement.data(), kReplacement.size());
    } else {
      held_[0] = c;
      size_ = 1;
    }
  }
}

void Utf8Assembler::Flush(std::string* out) {
  if (size_ > 0) out->append(kReplacement.data(), kReplacement.size());
  size_ = 0;
}

}  // namespace hone
