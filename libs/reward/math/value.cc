#include "libs/reward/math/value.h"

#include <array>
#include <cstdlib>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/strip.h"
#include "libs/reward/math/normalise.h"

namespace hone::math {
namespace {

// "1e4096" is a number; beyond that it is text, so that no answer makes us write out a long one.
constexpr int kLargestExponent = 4096;

void SkipSpaces(absl::string_view* s) {
  *s = absl::StripLeadingAsciiWhitespace(*s);
}

absl::string_view TakeDigits(absl::string_view* s) {
  size_t n = 0;
  while (n < s->size() && absl::ascii_isdigit((*s)[n])) ++n;
  const absl::string_view digits = s->substr(0, n);
  s->remove_prefix(n);
  return digits;
}

bool TakeSign(absl::string_view* s) {
  SkipSpaces(s);
  bool negative = false;
  if (!s->empty() && (s->front() == '-' || s->front() == '+')) {
    negative = s->front() == '-';
    s->remove_prefix(1);
    SkipSpaces(s);
  }
  return negative;
}

bool StartsWithDigit(absl::string_view s) {
  return !s.empty() && absl::ascii_isdigit(s.front());
}

// Each of these takes what it reads off `s`, or returns false and leaves `s` anyhow.

// 12, 1,234, 1 234, 1,234.50, .5
bool TakeUnsigned(absl::string_view* s, Rational* value, bool* integer = nullptr) {
  std::string digits(TakeDigits(s));
  if (!digits.empty() && digits.size() <= 3 && digits[0] != '0' && !s->empty() &&
      (s->front() == ',' || s->front() == ' ')) {
    const char separator = s->front();
    while (!s->empty() && s->front() == separator) {
      absl::string_view rest = s->substr(1);
      const absl::string_view group = TakeDigits(&rest);
      if (group.size() != 3) break;
      digits.append(group.data(), group.size());
      *s = rest;
    }
  }
  absl::string_view decimals;
  if (!s->empty() && s->front() == '.' && (s->size() == 1 || StartsWithDigit(s->substr(1)))) {
    s->remove_prefix(1);
    decimals = TakeDigits(s);
  }
  if (digits.empty() && decimals.empty()) return false;
  if (integer != nullptr) *integer = decimals.empty();
  digits.append(decimals.data(), decimals.size());
  *value = {false, Natural::FromDigits(digits),
            Natural::PowerOfTen(static_cast<int>(decimals.size()))};
  return true;
}

// The argument of a \frac: {-12}, or a single digit.
bool TakeFractionArgument(absl::string_view* s, Rational* value) {
  SkipSpaces(s);
  if (StartsWithDigit(*s)) {
    *value = {false, Natural::FromDigits(s->substr(0, 1)), Natural::FromDigits("1")};
    s->remove_prefix(1);
    return true;
  }
  if (!absl::ConsumePrefix(s, "{")) return false;
  const bool negative = TakeSign(s);
  if (!TakeUnsigned(s, value)) return false;
  value->negative = negative;
  SkipSpaces(s);
  return absl::ConsumePrefix(s, "}");
}

// \frac{a}{b}
bool TakeFraction(absl::string_view* s, Rational* value) {
  Rational a, b;
  if (!absl::ConsumePrefix(s, "\\frac") || !TakeFractionArgument(s, &a) ||
      !TakeFractionArgument(s, &b) || b.numerator.IsZero())
    return false;
  *value = a / b;
  return true;
}

// "\times 10^{-3}", "* 10^5", "e5" after a number; `s` is left alone where there is none.
bool TakePowerOfTen(absl::string_view* s, Rational* value) {
  absl::string_view rest = *s;
  bool braces = false;
  if (absl::ConsumePrefix(&rest, "e") || absl::ConsumePrefix(&rest, "E")) {
    const bool sign = absl::StartsWith(rest, "-") || absl::StartsWith(rest, "+");
    if (!StartsWithDigit(rest.substr(sign ? 1 : 0))) return true;
  } else {
    SkipSpaces(&rest);
    if (!absl::ConsumePrefix(&rest, "\\times") && !absl::ConsumePrefix(&rest, "\\cdot") &&
        !absl::ConsumePrefix(&rest, "*") && !absl::ConsumePrefix(&rest, "x"))
      return true;
    SkipSpaces(&rest);
    if (!absl::ConsumePrefix(&rest, "10^")) return true;
    braces = absl::ConsumePrefix(&rest, "{");
  }
  const bool negative = TakeSign(&rest);
  int exponent;
  if (!absl::SimpleAtoi(TakeDigits(&rest), &exponent) || exponent > kLargestExponent) return false;
  SkipSpaces(&rest);
  if (braces && !absl::ConsumePrefix(&rest, "}")) return false;
  const Rational power{false, Natural::PowerOfTen(exponent), Natural::FromDigits("1")};
  *value = negative ? *value / power : *value * power;
  *s = rest;
  return true;
}

bool TakeNumber(absl::string_view* s, Rational* value) {
  const bool negative = TakeSign(s);
  if (absl::StartsWith(*s, "\\frac")) {
    if (!TakeFraction(s, value)) return false;
  } else {
    bool integer = false;
    if (!TakeUnsigned(s, value, &integer)) return false;
    absl::string_view rest = *s;
    SkipSpaces(&rest);
    if (integer && absl::StartsWith(rest, "\\frac")) {  // 2\frac12
      Rational fraction;
      if (!TakeFraction(&rest, &fraction) || fraction.negative) return false;
      *value = AddMagnitudes(*value, fraction);
      *s = rest;
    } else if (integer && s->size() != rest.size() && StartsWithDigit(rest)) {  // 2 1/2
      Rational a, b;
      if (!TakeUnsigned(&rest, &a) || !absl::ConsumePrefix(&rest, "/") ||
          !TakeUnsigned(&rest, &b) || b.numerator.IsZero())
        return false;
      *value = AddMagnitudes(*value, a / b);
      *s = rest;
    } else if (absl::ConsumePrefix(&rest, "/")) {
      SkipSpaces(&rest);
      Rational divisor;
      if (!TakeUnsigned(&rest, &divisor) || divisor.numerator.IsZero()) return false;
      *value = *value / divisor;
      *s = rest;
    } else if (!TakePowerOfTen(s, value)) {
      return false;
    }
  }
  value->negative = value->negative != negative;
  return true;
}

// Units that may stand right after the number ("5cm") and need no \text{}.
constexpr absl::string_view kShortUnits[] = {
    "cm", "mm", "km", "kg",  "mg", "ml", "hr", "hrs", "min", "mins", "sec", "mph",
    "ft", "in", "lb", "lbs", "oz", "am", "pm", "kph", "mL",  "usd",  "USD",
};
// One-letter units, believed inside \text{} only: "5m" is a product.
constexpr absl::string_view kLetterUnits = "mgshlLNJWVAKCF";
// Words that make the number a part of something else ("6 and 8", "5 million").
constexpr absl::string_view kNotUnits[] = {
    "or",       "and",     "to",    "not",   "over",    "times",     "plus",    "minus",
    "pi",       "half",    "third", "dozen", "hundred", "thousand",  "million", "billion",
    "trillion", "squared", "pm",    "cubed", "sqrt",    "factorial", "mod",     "base",
    "sin",      "cos",     "tan",   "log",   "ln",      "exp",       "except",
};

template <size_t N>
bool In(const absl::string_view (&list)[N], absl::string_view word) {
  for (absl::string_view entry : list)
    if (entry == word) return true;
  return false;
}

// The length of the character at `s[at]` if it may be part of a unit beside ASCII letters: a
// currency sign, a superscript 2 or 3, or a Chinese character; else 0.
size_t UnitCharacter(absl::string_view s, size_t at) {
  const absl::string_view rest = s.substr(at);
  for (absl::string_view sign : {"\u20ac", "\u00a3", "\u00b2", "\u00b3"})
    if (absl::StartsWith(rest, sign)) return sign.size();
  const unsigned char c = s[at];
  return c >= 0xe4 && c <= 0xe9 && rest.size() >= 3 ? 3 : 0;
}

// Whether all of `rest`, which follows a number, is a unit; if so it is written to `unit`.
bool ReadUnit(absl::string_view rest, std::string* unit) {
  const bool spaced = !rest.empty() && (rest.front() == ' ' || rest.front() == kWrapped);
  bool wrapped = false;
  while (!rest.empty() && (rest.front() == ' ' || rest.front() == kWrapped)) {
    wrapped |= rest.front() == kWrapped;
    rest.remove_prefix(1);
  }
  if (rest.empty()) return true;
  if (rest == "%") {
    *unit = "%";
    return true;
  }
  bool first = true;
  for (size_t i = 0; i < rest.size();) {
    const char c = rest[i];
    if (absl::ascii_isalpha(c)) {
      size_t end = i;
      while (end < rest.size() && (absl::ascii_isalpha(rest[end]) || rest[end] == '\'')) ++end;
      absl::string_view word = rest.substr(i, end - i);
      std::string lower = absl::AsciiStrToLower(word);
      const bool short_unit = In(kShortUnits, word);
      if (first) {
        const bool letter =
            word.size() == 1 && wrapped && kLetterUnits.find(c) != kLetterUnits.npos;
        const bool plain = word.size() >= (wrapped ? 2 : 3) && spaced;
        if (!letter && !plain && !short_unit) return false;
      }
      if (In(kNotUnits, lower) && !short_unit) return false;
      first = false;
      if (lower.size() > 3 && lower.back() == 's') lower.pop_back();
      if (lower == "percent" || lower == "pct") lower = "%";
      *unit += lower;
      i = end;
    } else if (c == '^') {
      // An exponent, in braces or not.
      absl::string_view exponent = rest.substr(i + 1);
      const bool braces = absl::ConsumePrefix(&exponent, "{");
      if (first || TakeDigits(&exponent).empty()) return false;
      if (braces && !absl::ConsumePrefix(&exponent, "}")) return false;
      for (char d : rest.substr(i, rest.size() - exponent.size() - i))
        if (d != '{' && d != '}') *unit += d;
      i = rest.size() - exponent.size();
    } else if (size_t length = UnitCharacter(rest, i); length > 0) {
      unit->append(rest.data() + i, length);
      first = false;
      i += length;
    } else if (c == ' ' || c == kWrapped) {
      ++i;
    } else if (!first && (c == '/' || c == '.' || c == ',' || c == '-')) {
      // "km/h", "sq. ft", "ten-pound"; not "5 cm - x".
      if (c == '-' && !absl::ascii_isalpha(rest[i - 1])) return false;
      if (c == '/') *unit += c;
      ++i;
    } else {
      return false;
    }
  }
  return true;
}

// "x = ..." or "x_1 = ...": the letter, taken off `s`.
std::string TakeVariable(absl::string_view* s) {
  absl::string_view rest = *s;
  if (rest.empty() || !absl::ascii_isalpha(rest.front())) return "";
  size_t n = 1;
  if (n < rest.size() && rest[n] == '_') {
    ++n;
    while (n < rest.size() && (absl::ascii_isalnum(rest[n]) || rest[n] == '{' || rest[n] == '}'))
      ++n;
  }
  std::string name(rest.substr(0, n));
  rest.remove_prefix(n);
  SkipSpaces(&rest);
  if (!absl::ConsumePrefix(&rest, "=") || rest.find('=') != rest.npos) return "";
  SkipSpaces(&rest);
  if (rest.empty()) return "";
  *s = rest;
  return name;
}

}  // namespace

Value ReadValue(absl::string_view answer) {
  Value value;
  const std::string clean = Clean(answer);
  absl::string_view s = clean;
  value.variable = TakeVariable(&s);
  absl::string_view rest = s;
  Rational number;
  std::string unit;
  // "€77": the sign goes behind, as in "77 €". (A dollar sign is long gone.)
  const size_t sign = rest.empty() ? 0 : UnitCharacter(rest, 0);
  if (sign > 0) {
    unit.assign(rest.data(), sign);
    rest.remove_prefix(sign);
  }
  if (TakeNumber(&rest, &number) && ReadUnit(rest, &unit)) {
    value.number = std::move(number);
    value.unit = std::move(unit);
    value.text = std::string(s);
  } else {
    value.text = CanonicalText(s);
  }
  return value;
}

bool SameValue(const Value& a, const Value& b) {
  if (!a.variable.empty() && !b.variable.empty() && a.variable != b.variable) return false;
  if (a.number.has_value() != b.number.has_value()) return false;
  if (!a.number.has_value()) return a.text == b.text;
  return *a.number == *b.number && (a.unit.empty() || b.unit.empty() || a.unit == b.unit);
}

}  // namespace hone::math
