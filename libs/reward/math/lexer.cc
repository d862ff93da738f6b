#include "libs/reward/math/lexer.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "libs/reward/math/lexer_class.h"
#include "libs/reward/math/node.h"
#include "libs/reward/math/tables.h"

namespace hone::math {
namespace {

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
  while (!s.empty() && !absl::EndsWith(s, "..") &&
         (around(s.back()) || s.back() == '.' || s.back() == ',' || s.back() == ';' ||
          s.back() == ':' || s.back() == '\\'))
    s.remove_suffix(1);
  return s;
}

}  // namespace

Tokens Lexer::Run() {
  while (at_ < s_.size()) Next();
  Push(Tok::kEnd, "");
  return std::move(tokens_);
}

Token& Lexer::Push(Tok type, absl::string_view text) {
  Token& t = tokens_.list.emplace_back();
  t.type = type;
  t.text = std::string(text);
  t.spaced = spaced_;
  t.wrapped = InText();
  spaced_ = false;
  return t;
}

void Lexer::Op(char op) {
  Push(Tok::kOp, "").op = op;
  if (op == '(' || op == '[' || op == 'S') ++brackets_;
  if (op == ')' || op == ']' || op == 's') brackets_ = std::max(0, brackets_ - 1);
}

bool Lexer::AfterOperand() const {
  if (tokens_.list.empty()) return false;
  const Token& t = tokens_.list.back();
  return t.type != Tok::kOp || t.Is(')') || t.Is('}') || t.Is('d') || t.Is('/') || t.Is('!');
}

void Lexer::Next() {
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

void Lexer::Foreign() {
  const size_t begin = at_;
  while (at_ < s_.size() && static_cast<unsigned char>(s_[at_]) >= 0x80) ++at_;
  Push(Tok::kWord, s_.substr(begin, at_ - begin));
}

void Lexer::Backslash() {
  ++at_;
  const char c = Peek();
  if (absl::ascii_isalpha(c)) return Named();
  // "1\2" in a matrix has lost one of its two backslashes.
  if (environments_ > 0 && (c == '-' || absl::ascii_isdigit(c))) return Op('N');
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

void Lexer::Named() {
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

absl::string_view Lexer::Argument() {
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

void Lexer::Environment(bool begin) {
  const absl::string_view name = Argument();
  environments_ += begin ? 1 : -1;
  Push(begin ? Tok::kBegin : Tok::kEndEnv, absl::StripSuffix(name, "*"));
  // The columns of an array.
  if (begin && name == "array" && Peek() == '{') Argument();
}

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
