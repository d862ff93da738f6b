#include "libs/report/text.h"

#include <cmath>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace hone {
namespace {

constexpr absl::string_view kReplacement = "\xEF\xBF\xBD";

// Takes one code point off `text`; -1 for a byte that begins none.
int32_t Take(absl::string_view& text, absl::string_view& bytes) {
  const auto lead = static_cast<unsigned char>(text[0]);
  const size_t n = lead < 0x80                   ? 1
                   : lead >= 0xF0 && lead < 0xF5 ? 4
                   : lead >= 0xE0 && lead < 0xF0 ? 3
                   : lead >= 0xC2 && lead < 0xE0 ? 2
                                                 : 0;
  bytes = text.substr(0, 1);
  int32_t code = n == 1 ? lead : lead & (0x7F >> n);
  bool good = n > 0 && n <= text.size();
  for (size_t i = 1; good && i < n; ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    good = (c & 0xC0) == 0x80;
    code = code << 6 | (c & 0x3F);
  }
  // Overlong forms, surrogates and what lies beyond Unicode.
  if (good && ((n == 3 && code < 0x800) || (n == 4 && (code < 0x10000 || code > 0x10FFFF)) ||
               (code >= 0xD800 && code <= 0xDFFF)))
    good = false;
  if (good) bytes = text.substr(0, n);
  text.remove_prefix(bytes.size());
  return good ? code : -1;
}

bool Printable(int32_t code) {
  if (code < 0x20) return code == '\n' || code == '\t';
  if (code >= 0x7F && code < 0xA0) return false;
  return !(code >= 0x202A && code <= 0x202E) && !(code >= 0x2066 && code <= 0x2069) &&
         code != 0x200E && code != 0x200F && code != 0x061C;
}

std::string Superscript(int n) {
  static constexpr absl::string_view kDigits[] = {"⁰", "¹", "²", "³", "⁴", "⁵", "⁶", "⁷", "⁸", "⁹"};
  std::string out = n < 0 ? "⁻" : "";
  for (const char c : std::to_string(std::abs(n))) absl::StrAppend(&out, kDigits[c - '0']);
  return out;
}

}  // namespace

std::string EscapeHtml(absl::string_view text) {
  std::string out;
  out.reserve(text.size() + text.size() / 8);
  while (!text.empty()) {
    absl::string_view bytes;
    const int32_t code = Take(text, bytes);
    switch (code) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      case '\r':
        break;
      default:
        absl::StrAppend(&out, code >= 0 && Printable(code) ? bytes : kReplacement);
    }
  }
  return out;
}

std::string FormatNumber(double value) {
  if (!std::isfinite(value)) return "n/a";
  const double size = std::abs(value);
  if (size == 0) return "0";
  if (size >= 1e15 || size < 1e-3) {
    const std::string text = absl::StrFormat("%.2e", value);
    const size_t e = text.find('e');
    std::string mantissa = text.substr(0, e);
    while (mantissa.back() == '0') mantissa.pop_back();
    if (mantissa.back() == '.') mantissa.pop_back();
    return absl::StrCat(mantissa, "×10", Superscript(std::atoi(text.c_str() + e + 1)));
  }
  if (size >= 9.995e11) return absl::StrFormat("%.4g T", value / 1e12);
  if (size >= 9.995e8) return absl::StrFormat("%.3g G", value / 1e9);
  if (size >= 9.995e5) return absl::StrFormat("%.3g M", value / 1e6);
  if (size >= 9.995e3) return absl::StrFormat("%.3g k", value / 1e3);
  if (size >= 100) return absl::StrFormat("%.0f", value);
  return absl::StrFormat("%.3g", value);
}

std::string FormatPercent(double value) {
  if (!std::isfinite(value)) return "n/a";
  const double percent = 100 * value;
  if (percent != 0 && std::abs(percent) < 0.05) return absl::StrCat(FormatNumber(percent), " %");
  return absl::StrFormat("%.1f %%", percent);
}

std::string FormatCount(int64_t value) {
  std::string out = std::to_string(value);
  const int first = value < 0 ? 1 : 0;
  for (int i = static_cast<int>(out.size()) - 3; i > first; i -= 3)
    out.insert(static_cast<size_t>(i), 1, ' ');
  return out;
}

std::string FormatSeconds(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0) return "n/a";
  if (seconds < 0.9995) return absl::StrFormat("%.3g ms", 1e3 * seconds);
  if (seconds < 99.5) return absl::StrFormat("%.3g s", seconds);
  const auto whole = static_cast<int64_t>(std::llround(seconds));
  if (whole < 3600) return absl::StrFormat("%d min %02d s", whole / 60, whole % 60);
  if (whole < 86400) return absl::StrFormat("%d h %02d min", whole / 3600, whole / 60 % 60);
  return absl::StrFormat("%d d %02d h", whole / 86400, whole / 3600 % 24);
}

std::string Humanize(absl::string_view name) {
  std::string out(name);
  for (char& c : out)
    if (c == '_') c = ' ';
  if (!out.empty() && out[0] >= 'a' && out[0] <= 'z') out[0] -= 'a' - 'A';
  return out;
}

}  // namespace hone
