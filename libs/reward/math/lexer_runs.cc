// Numbers and words: runs of digits and letters.

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "libs/reward/math/lexer_class.h"
#include "libs/reward/math/tables.h"
#include "libs/reward/math/unit.h"

namespace hone::math {
namespace {

constexpr int kLargestExponent = 9999;  // of 1e9999, which is written out

}  // namespace

size_t Lexer::Overline(size_t ahead) const {
  absl::string_view rest = s_.substr(std::min(s_.size(), at_ + ahead));
  const size_t all = rest.size();
  rest = absl::StripLeadingAsciiWhitespace(rest);
  if (!absl::ConsumePrefix(&rest, "\\overline") && !absl::ConsumePrefix(&rest, "\\bar") &&
      !absl::ConsumePrefix(&rest, "\\dot"))
    return 0;
  rest = absl::StripLeadingAsciiWhitespace(rest);
  if (!rest.empty() && absl::ascii_isdigit(rest[0])) return all - rest.size() + 1;
  if (!absl::ConsumePrefix(&rest, "{")) return 0;
  const size_t end = rest.find_first_not_of("0123456789");
  if (end == 0 || end == rest.npos || rest[end] != '}') return 0;
  return all - rest.size() + end + 1;
}

std::string Lexer::Digits() {
  const size_t begin = at_;
  while (Digit()) ++at_;
  return std::string(s_.substr(begin, at_ - begin));
}

size_t Lexer::Separator(char* kind) {
  absl::string_view rest = s_.substr(at_);
  const size_t all = rest.size();
  if (absl::ConsumePrefix(&rest, "{,}") || absl::ConsumePrefix(&rest, ",\\!")) {
    *kind = '!';
    rest = absl::StripLeadingAsciiWhitespace(rest);
    absl::ConsumePrefix(&rest, "\\!");
  } else if (absl::ConsumePrefix(&rest, "\\,") || absl::ConsumePrefix(&rest, "\\ ") ||
             absl::ConsumePrefix(&rest, "\\;") || absl::ConsumePrefix(&rest, "~") ||
             absl::ConsumePrefix(&rest, " ")) {
    *kind = ' ';
  } else if (thousands_ && brackets_ == 0 && absl::ConsumePrefix(&rest, ",")) {
    *kind = ',';
  } else {
    return 0;
  }
  if (rest.size() < 3) return 0;
  for (size_t i = 0; i < 3; ++i)
    if (!absl::ascii_isdigit(rest[i])) return 0;
  if (rest.size() > 3 && absl::ascii_isdigit(rest[3])) return 0;
  return all - rest.size();
}

void Lexer::Number() {
  const size_t begin = at_;
  std::string digits = Digits();
  if (BaseWithLetters(begin)) return;
  if (!digits.empty() && digits.size() <= 3 && digits[0] != '0') {
    char first = 0, kind = 0;
    for (size_t n; (n = Separator(&kind)) > 0;) {
      if (first != 0 && kind != first) break;
      first = kind;
      at_ += n;
      digits += Digits();
    }
    tokens_.ambiguous_commas |= first == ',';
  }
  int repeat = 0;
  if (Peek() == '.' && (Digit(1) || Overline(1) > 0)) {
    ++at_;
    absl::StrAppend(&digits, ".", Digits());
    if (const size_t n = Overline(0); n > 0) {
      const absl::string_view all = s_.substr(at_, n);
      for (char c : all)
        if (absl::ascii_isdigit(c)) {
          digits += c;
          ++repeat;
        }
      at_ += n;
    }
  } else if (Peek() == '.' && Peek(1) != '.' && !absl::ascii_isalnum(Peek(1))) {
    ++at_;
  }
  if (repeat == 0) Exponent(&digits);
  Push(Tok::kNumber, digits).count = repeat;
}

void Lexer::Exponent(std::string* digits) {
  const char e = Peek();
  if (e != 'e' && e != 'E') return;
  size_t to = 1;
  const bool sign = Peek(1) == '-' || Peek(1) == '+';
  if (sign) ++to;
  const size_t from = to;
  while (Digit(to)) ++to;
  const size_t length = to - from;
  const bool decimal = digits->find('.') != digits->npos;
  if (length == 0 || (sign && length == 1 && e == 'e' && !decimal)) return;
  int exponent;
  if (!absl::SimpleAtoi(s_.substr(at_ + from, length), &exponent) || exponent > kLargestExponent)
    return;
  if (Peek(1) == '-') exponent = -exponent;
  at_ += to;
  size_t point = digits->find('.');
  if (point == digits->npos)
    point = digits->size();
  else
    digits->erase(point, 1);
  if (exponent >= 0) {
    const size_t want = point + exponent;
    if (digits->size() < want) digits->append(want - digits->size(), '0');
    if (want < digits->size()) digits->insert(want, ".");
  } else {
    const size_t shift = -exponent;
    if (shift >= point) digits->insert(0, std::string(shift - point + 1, '0'));
    digits->insert(std::max(point, shift + 1) - shift, ".");
  }
}

bool Lexer::BaseWithLetters(size_t begin) {
  size_t end = at_;
  while (end < s_.size() && (absl::ascii_isdigit(s_[end]) || absl::ascii_isupper(s_[end]))) ++end;
  if (end == at_) return false;
  absl::string_view rest = absl::StripLeadingAsciiWhitespace(s_.substr(end));
  if (!absl::ConsumePrefix(&rest, "_")) return false;
  rest = absl::StripLeadingAsciiWhitespace(rest);
  const bool brace = absl::ConsumePrefix(&rest, "{");
  size_t n = 0;
  while (n < rest.size() && absl::ascii_isdigit(rest[n])) ++n;
  int base;
  if (!absl::SimpleAtoi(rest.substr(0, n), &base) || base < 11 || base > 36) return false;
  rest.remove_prefix(n);
  if (brace && !absl::ConsumePrefix(&rest, "}")) return false;
  const absl::string_view digits = s_.substr(begin, end - begin);
  for (char c : digits)
    if (absl::ascii_isupper(c) && c - 'A' + 10 >= base) return false;
  Push(Tok::kBase, digits).count = base;
  at_ = s_.size() - rest.size();
  return true;
}

void Lexer::Letters() {
  const size_t begin = at_;
  for (absl::string_view m : {"a.m", "p.m", "A.M", "P.M"})
    if (absl::StartsWith(s_.substr(at_), m)) {
      at_ += 3;
      if (Peek() == '.') ++at_;
      Push(Tok::kWord, absl::ascii_tolower(m[0]) == 'a' ? "am" : "pm");
      return;
    }
  while (absl::ascii_isalpha(Peek()) ||
         (at_ > begin + 1 && Peek() == '\'' && absl::ascii_isalpha(Peek(1))))
    ++at_;
  LetterRun(s_.substr(begin, at_ - begin), begin);
}

void Lexer::LetterRun(absl::string_view run, size_t begin) {
  if (run.size() == 1) return Letter(run);
  const std::string lower = absl::AsciiStrToLower(run);
  if (lower == "and" || lower == "or") {
    Push(Tok::kWord, lower);
    return;
  }
  if (lower == "degree" || lower == "degrees" || lower == "deg") return Op('d');
  if (lower == "percent" || lower == "pct") return Op('%');
  if (run == "pi" || run == "Pi") {
    Push(Tok::kConstant, "pi");
    return;
  }
  if (run == "inf" || run == "infty" || lower == "infinity" || run == "oo") {
    Push(Tok::kConstant, "infinity");
    return;
  }
  const bool unit = (run == "min" || run == "sec") && AfterOperand();
  if (absl::string_view f = PlainFunction(run); !f.empty() && !unit) {
    if (f == "sqrt") return Op('R');
    Push(Tok::kFunction, f);
    return;
  }
  if (InText()) {
    Push(Tok::kWord, run);
    return;
  }
  if ((run == "frac" || run == "dfrac") && Peek() == '{') return Op('F');
  if (run.size() == 2) {
    const bool word = (AfterOperand() && IsUnitWord(run)) || lower == "is" || lower == "no" ||
                      lower == "to" || lower == "am" || lower == "pm" || lower == "of" ||
                      lower == "if" || lower == "so";
    if (word) {
      Push(Tok::kWord, run);
    } else {
      Letter(run.substr(0, 1));
      Letter(run.substr(1));
    }
    return;
  }
  // sinx, lnx
  for (size_t n = run.size() - 1; n + 1 >= run.size() && n > 1; --n)
    if (absl::string_view f = PlainFunction(run.substr(0, n)); !f.empty() && f != "sqrt") {
      Push(Tok::kFunction, f);
      return Letter(run.substr(n));
    }
  // 5abc, xyz^2: a product that nobody spaced. A word stands alone.
  auto glued = [](char c) {
    return absl::string_view("+-*^=_/").find(c) != absl::string_view::npos;
  };
  const bool left = begin > 0 && (glued(s_[begin - 1]) || absl::ascii_isdigit(s_[begin - 1]));
  const bool right = glued(Peek()) && Peek() != '\0';
  if (run.size() <= 5 && (left || right) && !IsUnitWord(run)) {
    for (size_t i = 0; i < run.size(); ++i) Letter(run.substr(i, 1));
    return;
  }
  Push(Tok::kWord, run);
}

void Lexer::Letter(absl::string_view letter) {
  if (letter == "e" || letter == "i")
    Push(Tok::kConstant, letter);
  else
    Push(Tok::kLetter, letter);
}

}  // namespace hone::math
