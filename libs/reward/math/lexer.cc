#include "libs/reward/math/lexer.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "libs/reward/math/node.h"
#include "libs/reward/math/tables.h"
#include "libs/reward/math/unit.h"

namespace hone::math {
namespace {

constexpr int kLargestExponent = 9999;  // of 1e9999, which is written out

// Unicode signs in LaTeX or ASCII, control characters gone, "\\frac" (escaped twice) as "\frac".
std::string Ascii(absl::string_view in) {
  const bool rows = absl::StrContains(in, "\\begin");
  std::string out;
  out.reserve(in.size() + 16);
  for (size_t i = 0; i < in.size();) {
    const unsigned char c = in[i];
    if (c >= 0x80) {
      if (const UnicodeSign* sign = FindUnicode(in.substr(i)); sign != nullptr) {
        out.append(sign->spelling.data(), sign->spelling.size());
        i += sign->sign.size();
        continue;
      }
      if (c == 0xef && in.substr(i).size() >= 3 && static_cast<unsigned char>(in[i + 1]) == 0xbc &&
          static_cast<unsigned char>(in[i + 2]) >= 0x90 &&
          static_cast<unsigned char>(in[i + 2]) <= 0x99) {
        out += static_cast<char>('0' + static_cast<unsigned char>(in[i + 2]) - 0x90);
        i += 3;
        continue;
      }
    }
    if (c == '\\' && !rows && i + 2 < in.size() && in[i + 1] == '\\' &&
        absl::ascii_isalpha(in[i + 2])) {
      ++i;
      continue;
    }
    if (absl::ascii_isspace(c))
      out += ' ';
    else if (c >= 0x20 && c != 0x7f)
      out += static_cast<char>(c);
    ++i;
  }
  return out;
}

// Without white space, emphasis and punctuation around it.
absl::string_view Trim(absl::string_view s) {
  auto around = [](char c) { return c == ' ' || c == '*' || c == '`'; };
  while (!s.empty() && (around(s.front()) || s.front() == ':')) s.remove_prefix(1);
  while (!s.empty() && (around(s.back()) || s.back() == '.' || s.back() == ',' ||
                        s.back() == ';' || s.back() == ':' || s.back() == '\\'))
    s.remove_suffix(1);
  return s;
}

class Lexer {
 public:
  Lexer(absl::string_view s, bool thousands) : s_(s), thousands_(thousands) {}

  Tokens Run() {
    while (at_ < s_.size()) Next();
    Push(Tok::kEnd, "");
    return std::move(tokens_);
  }

 private:
  char Peek(size_t ahead = 0) const { return at_ + ahead < s_.size() ? s_[at_ + ahead] : '\0'; }
  bool Digit(size_t ahead = 0) const { return absl::ascii_isdigit(Peek(ahead)); }
  bool InText() const { return text_depth_ > 0; }

  Token& Push(Tok type, absl::string_view text) {
    Token& t = tokens_.list.emplace_back();
    t.type = type;
    t.text = std::string(text);
    t.spaced = spaced_;
    t.wrapped = InText();
    spaced_ = false;
    return t;
  }
  void Op(char op) {
    Push(Tok::kOp, "").op = op;
    if (op == '(' || op == '[' || op == 'S') ++brackets_;
    if (op == ')' || op == ']' || op == 's') brackets_ = std::max(0, brackets_ - 1);
  }

  // Whether the last token ends an operand, so that a unit may follow.
  bool AfterOperand() const {
    if (tokens_.list.empty()) return false;
    const Token& t = tokens_.list.back();
    return t.type != Tok::kOp || t.Is(')') || t.Is('}') || t.Is('d') || t.Is('/') || t.Is('!');
  }

  void Next() {
    const unsigned char c = s_[at_];
    if (c == '\\') return Backslash();
    if (absl::ascii_isdigit(c) || (c == '.' && (Digit(1) || Overline(1) > 0))) return Number();
    if (absl::ascii_isalpha(c)) return Letters();
    if (c >= 0x80) return Foreign();
    ++at_;
    switch (c) {
      case ' ':
      case '~':
        spaced_ = true;
        return;
      case '$':
      case '`':
        spaced_ = true;
        return;
      case '{':
        if (InText()) {
          braces_.push_back('t');
          ++text_depth_;
          return;
        }
        braces_.push_back('g');
        return Op('{');
      case '}':
        if (braces_.empty()) return;
        if (braces_.back() == 't')
          --text_depth_;
        else
          Op('}');
        braces_.pop_back();
        return;
      case '<':
      case '>':
        if (Peek() == '=') {
          ++at_;
          return Op(c == '<' ? 'l' : 'g');
        }
        return Op(static_cast<char>(c));
      case '=':
        if (Peek() == '=') ++at_;
        if (Peek() == '>') {
          ++at_;
          return Op('T');
        }
        return Op('=');
      case '!':
        // "x != 3", but "3!=6".
        if (Peek() == '=' && spaced_) {
          ++at_;
          return Op('n');
        }
        return Op('!');
      case '*':
        if (Peek() == '*') {
          ++at_;
          return Op('^');
        }
        return Op('*');
      case '+':
        if (Peek() == '-' || (Peek() == '/' && Peek(1) == '-')) {
          at_ += Peek() == '-' ? 1 : 2;
          return Op('p');
        }
        return Op('+');
      case '-':
        if (Peek() == '>') {
          ++at_;
          return Op('T');
        }
        return Op('-');
      case '^': {
        // ^\circ, ^{\circ}: degrees.
        size_t to = at_;
        while (to < s_.size() && (s_[to] == ' ' || s_[to] == '{')) ++to;
        absl::string_view rest = s_.substr(to);
        if (absl::ConsumePrefix(&rest, "\\circ") || absl::ConsumePrefix(&rest, "\\degree") ||
            absl::ConsumePrefix(&rest, "o}")) {
          const bool brace = s_.substr(at_, to - at_).find('{') != s_.npos;
          at_ = s_.size() - rest.size();
          if (brace && rest.data() != nullptr && s_[at_ - 1] != '}') {
            while (Peek() == ' ') ++at_;
            if (Peek() == '}') ++at_;
          }
          return Op('d');
        }
        return Op('^');
      }
      case '.':
        if (Peek() == '.' && Peek(1) == '.') {
          at_ += 2;
          return Op('o');
        }
        // An abbreviation's ("sq. ft."), or the end of a sentence.
        if (InText() || at_ >= s_.size() ||
            (!tokens_.list.empty() && tokens_.list.back().type == Tok::kWord))
          return;
        return Op('.');
      case '"':
      case '#':
      case '?':
        return;
      default:
        return Op(static_cast<char>(c));
    }
  }

  // The length of "\overline{142857}" at `ahead`, or 0.
  size_t Overline(size_t ahead) const {
    absl::string_view rest = s_.substr(std::min(s_.size(), at_ + ahead));
    const size_t all = rest.size();
    rest = absl::StripLeadingAsciiWhitespace(rest);
    if (!absl::ConsumePrefix(&rest, "\\overline") && !absl::ConsumePrefix(&rest, "\\bar") &&
        !absl::ConsumePrefix(&rest, "\\dot"))
      return 0;
    rest = absl::StripLeadingAsciiWhitespace(rest);
    if (!absl::ConsumePrefix(&rest, "{")) return 0;
    const size_t end = rest.find_first_not_of("0123456789");
    if (end == 0 || end == rest.npos || rest[end] != '}') return 0;
    return all - rest.size() + end + 1;
  }

  std::string Digits() {
    const size_t begin = at_;
    while (Digit()) ++at_;
    return std::string(s_.substr(begin, at_ - begin));
  }

  // The length of a thousands separator here, which three digits and no fourth follow; `kind` says
  // which.
  size_t Separator(char* kind) {
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

  void Number() {
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
        const size_t open = all.find('{');
        digits.append(all.data() + open + 1, all.size() - open - 2);
        repeat = static_cast<int>(all.size() - open - 2);
        at_ += n;
      }
    } else if (Peek() == '.' && Peek(1) != '.' && !absl::ascii_isalnum(Peek(1))) {
      ++at_;
    }
    Exponent(&digits);
    Push(Tok::kNumber, digits).count = repeat;
  }

  // 4.5e33, 1e-05, written out. "3e+2" in a formula is a sum.
  void Exponent(std::string* digits) {
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

  // 1A2_{11}: digits with capital letters that a base explains.
  bool BaseWithLetters(size_t begin) {
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

  void Letters() {
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
    Run(s_.substr(begin, at_ - begin), begin);
  }

  // A run of letters that began at `begin`.
  void Run(absl::string_view run, size_t begin) {
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
    auto glued = [](char c) { return absl::string_view("+-*^=_/").find(c) != absl::string_view::npos; };
    const bool left = begin > 0 && (glued(s_[begin - 1]) || absl::ascii_isdigit(s_[begin - 1]));
    const bool right = glued(Peek()) && Peek() != '\0';
    if (run.size() <= 5 && (left || right) && !IsUnitWord(run)) {
      for (size_t i = 0; i < run.size(); ++i) Letter(run.substr(i, 1));
      return;
    }
    Push(Tok::kWord, run);
  }

  void Letter(absl::string_view letter) {
    if (letter == "e" || letter == "i")
      Push(Tok::kConstant, letter);
    else
      Push(Tok::kLetter, letter);
  }

  // A word in another script.
  void Foreign() {
    const size_t begin = at_;
    while (at_ < s_.size() && static_cast<unsigned char>(s_[at_]) >= 0x80) ++at_;
    Push(Tok::kWord, s_.substr(begin, at_ - begin));
  }

  void Backslash() {
    ++at_;
    const char c = Peek();
    if (absl::ascii_isalpha(c)) return Named();
    if (c != '\0') ++at_;
    switch (c) {
      case '{':
        return Op('S');
      case '}':
        return Op('s');
      case '%':
        return Op('%');
      case '|':
        return Op('|');
      case '$':
        Push(Tok::kWord, "dollar");
        return;
      case '\\': {
        // \\[2pt]
        const size_t end = s_.find(']', at_);
        if (Peek() == '[' && end != s_.npos && end - at_ < 8 && absl::ascii_isalpha(s_[end - 1]))
          at_ = end + 1;
        return Op('N');
      }
      case '!':
      case '&':
      case '#':
      case '_':
        return;
      default:
        spaced_ = true;
    }
  }

  void Named() {
    const size_t begin = at_;
    while (absl::ascii_isalpha(Peek())) ++at_;
    const absl::string_view name = s_.substr(begin, at_ - begin);
    if (name == "begin" || name == "end") return Environment(name == "begin");
    if (name == "emptyset" || name == "varnothing") {
      Op('S');
      return Op('s');
    }
    const Command* command = FindCommand(name);
    if (command == nullptr) {
      Push(Tok::kLetter, absl::StrCat("\\", name));
      return;
    }
    switch (command->action) {
      case Command::kSkip:
        // \left. and \right. are no signs.
        if ((name == "left" || name == "right") && Peek() == '.') ++at_;
        return;
      case Command::kSpace:
        spaced_ = true;
        return;
      case Command::kOp:
        return Op(command->text[0]);
      case Command::kConstant:
        Push(Tok::kConstant, command->text);
        return;
      case Command::kFunction:
        Push(Tok::kFunction, command->text);
        return;
      case Command::kWord:
        Push(Tok::kWord, command->text);
        return;
      case Command::kMath:
        return;
      case Command::kAlphabet: {
        const absl::string_view letter = Argument();
        Push(Tok::kLetter, absl::StrCat("\\", name == "Bbb" ? "mathbb" : name, "{", letter, "}"));
        return;
      }
      case Command::kSkipArgument:
        Argument();
        return;
      case Command::kWrapper:
        while (Peek() == ' ' || Peek() == '*') ++at_;
        if (Peek() != '{') return;
        ++at_;
        braces_.push_back('t');
        ++text_depth_;
        spaced_ = true;
        return;
    }
  }

  // "{...}" (no braces inside) or one character; taken.
  absl::string_view Argument() {
    while (Peek() == ' ') ++at_;
    if (Peek() != '{') {
      const absl::string_view one = s_.substr(at_, 1);
      at_ += one.size();
      return one;
    }
    const size_t end = std::min(s_.find('}', at_), s_.size());
    const absl::string_view inside = s_.substr(at_ + 1, end - at_ - 1);
    at_ = std::min(end + 1, s_.size());
    return absl::StripAsciiWhitespace(inside);
  }

  void Environment(bool begin) {
    const absl::string_view name = Argument();
    Push(begin ? Tok::kBegin : Tok::kEndEnv, absl::StripSuffix(name, "*"));
    // The columns of an array.
    if (begin && name == "array" && Peek() == '{') Argument();
  }

  absl::string_view s_;
  const bool thousands_;
  size_t at_ = 0;
  bool spaced_ = false;
  int brackets_ = 0, text_depth_ = 0;
  std::string braces_;  // open ones: 't' a text wrapper's, 'g' a group's
  Tokens tokens_;
};

}  // namespace

Tokens Tokenize(absl::string_view text, bool thousands) {
  const std::string ascii = Ascii(text);
  return Lexer(Trim(ascii), thousands).Run();
}

std::string Spelling(const Tokens& tokens) {
  std::string s;
  for (const Token& t : tokens.list) {
    if (t.type == Tok::kEnd) break;
    if (t.type == Tok::kWord) {
      const std::string word = absl::AsciiStrToLower(t.text);
      if (s.empty() && (word == "the" || word == "a" || word == "an")) continue;
      s += word;
    } else if (t.type == Tok::kNumber) {
      s += CanonicalDigits(t.text);
      if (t.count > 0) absl::StrAppend(&s, "~", t.count);
    } else if (t.type == Tok::kOp) {
      s += t.op;
    } else {
      s += t.text;
      if (t.type == Tok::kBase) absl::StrAppend(&s, "_", t.count);
    }
    s += ' ';
  }
  return s;
}

}  // namespace hone::math
