#include "libs/reward/code/compare.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/strip.h"

namespace hone::code {
namespace {

absl::string_view TakeWord(absl::string_view& text) {
  text = absl::StripLeadingAsciiWhitespace(text);
  size_t end = 0;
  while (end < text.size() && !absl::ascii_isspace(text[end])) ++end;
  const absl::string_view word = text.substr(0, end);
  text.remove_prefix(end);
  return word;
}

absl::string_view TakeLine(absl::string_view& text) {
  const size_t end = text.find('\n');
  const absl::string_view line = text.substr(0, end);
  text.remove_prefix(end == text.npos ? text.size() : end + 1);
  return absl::StripTrailingAsciiWhitespace(line);
}

// Digits, sign, point, exponent: not "inf", not "nan", not hexadecimal.
bool IsDecimal(absl::string_view word) {
  return word.size() <= 64 && word.find_first_not_of("0123456789+-.eE") == word.npos;
}

bool SameWord(absl::string_view got, absl::string_view expected, double tolerance) {
  if (got == expected) return true;
  if (tolerance <= 0 || !IsDecimal(got) || !IsDecimal(expected)) return false;
  if (got.find_first_of(".eE") == got.npos && expected.find_first_of(".eE") == expected.npos)
    return false;
  double a = 0, b = 0;
  if (!absl::SimpleAtod(got, &a) || !absl::SimpleAtod(expected, &b)) return false;
  if (!std::isfinite(a) || !std::isfinite(b)) return false;
  return std::abs(a - b) <= tolerance * std::max(1.0, std::abs(b));
}

bool SameWords(absl::string_view got, absl::string_view expected, double tolerance) {
  while (true) {
    const absl::string_view a = TakeWord(got);
    const absl::string_view b = TakeWord(expected);
    if (a.empty() || b.empty()) return a.empty() && b.empty();
    if (!SameWord(a, b, tolerance)) return false;
  }
}

}  // namespace

bool SameOutput(absl::string_view got, absl::string_view expected, Comparison comparison,
                double float_tolerance) {
  if (comparison == Comparison::kExact) return got == expected;
  if (comparison == Comparison::kTokens) return SameWords(got, expected, float_tolerance);
  got = absl::StripTrailingAsciiWhitespace(got);
  expected = absl::StripTrailingAsciiWhitespace(expected);
  while (!got.empty() && !expected.empty()) {
    const absl::string_view a = TakeLine(got);
    const absl::string_view b = TakeLine(expected);
    if (a != b && (float_tolerance <= 0 || !SameWords(a, b, float_tolerance))) return false;
  }
  return got.empty() && expected.empty();
}

}  // namespace hone::code
