#include <algorithm>
#include <cctype>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/chat/syntax.h"
#include "libs/tokenizer/unicode.h"

namespace hone {

absl::Status TemplateSource::Error(size_t offset, absl::string_view what,
                                   absl::StatusCode code) const {
  offset = std::min(offset, text.size());
  const absl::string_view before = absl::string_view(text).substr(0, offset);
  const auto line = std::count(before.begin(), before.end(), '\n') + 1;
  const size_t start = before.rfind('\n') == absl::string_view::npos ? 0 : before.rfind('\n') + 1;
  const auto column = std::count_if(before.begin() + start, before.end(),
                                    [](char c) { return (c & 0xC0) != 0x80; }) +
                      1;
  return absl::Status(code, absl::StrCat(name, ":", line, ":", column, ": ", what));
}

namespace {

bool IsBlank(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}
bool StartsName(char c) {
  return std::isalpha(static_cast<unsigned char>(c)) || c == '_';
}
bool IsDigit(char c) {
  return c >= '0' && c <= '9';
}

class Lexer {
 public:
  explicit Lexer(const TemplateSource& source) : source_(source), text_(source.text) {}

  absl::StatusOr<std::vector<Token>> Run() {
    // Jinja drops one newline at the very end.
    if (absl::EndsWith(text_, "\n")) text_.remove_suffix(1);
    while (at_ < text_.size()) HONE_RETURN_IF_ERROR(Outside());
    Add(Token::Kind::kEnd, "", at_);
    return std::move(tokens_);
  }

 private:
  void Add(Token::Kind kind, std::string text, size_t offset) {
    tokens_.push_back({kind, std::move(text), offset});
  }
  bool Looking(absl::string_view what) const { return absl::StartsWith(text_.substr(at_), what); }

  // Text up to the next tag, and that tag.
  absl::Status Outside() {
    const size_t begin = at_;
    size_t open = begin;
    for (;; ++open) {
      open = text_.find('{', open);
      if (open == absl::string_view::npos || open + 1 >= text_.size()) {
        open = text_.size();
        break;
      }
      const char next = text_[open + 1];
      if (next == '{' || next == '%' || next == '#') break;
    }
    size_t end = open;
    const bool tag = open < text_.size();
    const char kind = tag ? text_[open + 1] : '\0';
    const char sign = tag && open + 2 < text_.size() ? text_[open + 2] : '\0';
    if (tag && sign == '-') {
      while (end > begin && IsBlank(text_[end - 1])) --end;
    } else if (tag && sign != '+' && kind != '{') {
      // Blanks that only indent the tag.
      size_t line = end;
      while (line > begin && IsBlank(text_[line - 1]) && text_[line - 1] != '\n') --line;
      if (line == 0 || text_[line - 1] == '\n') end = line;
    }
    if (end > begin) Add(Token::Kind::kText, std::string(text_.substr(begin, end - begin)), begin);
    at_ = open;
    if (!tag) return absl::OkStatus();
    at_ += 2 + (sign == '-' || (sign == '+' && kind != '{') ? 1 : 0);
    if (kind == '#') return Comment(open);
    Add(kind == '{' ? Token::Kind::kOpenOutput : Token::Kind::kOpenBlock, "", open);
    return Inside(kind == '{' ? "}}" : "%}", open);
  }

  // Behind a tag: `-` swallows blanks, otherwise a block swallows one newline.
  void Behind(bool minus, bool plus, bool block) {
    if (minus) {
      while (at_ < text_.size() && IsBlank(text_[at_])) ++at_;
    } else if (block && !plus && at_ < text_.size() && text_[at_] == '\n') {
      ++at_;
    }
  }

  absl::Status Comment(size_t open) {
    const size_t close = text_.find("#}", at_);
    if (close == absl::string_view::npos) return source_.Error(open, "comment without #}");
    const bool minus = close > at_ && text_[close - 1] == '-';
    const bool plus = close > at_ && text_[close - 1] == '+';
    at_ = close + 2;
    Behind(minus, plus, true);
    return absl::OkStatus();
  }

  absl::Status Inside(absl::string_view close, size_t open) {
    const bool block = close == "%}";
    std::string brackets;  // open ones: }} may close two of them
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (IsBlank(c)) {
        ++at_;
        continue;
      }
      if (brackets.empty()) {
        const bool minus = c == '-' && absl::StartsWith(text_.substr(at_ + 1), close);
        const bool plus = block && c == '+' && absl::StartsWith(text_.substr(at_ + 1), close);
        if (minus || plus || Looking(close)) {
          Add(block ? Token::Kind::kCloseBlock : Token::Kind::kCloseOutput, "", at_);
          at_ += close.size() + (minus || plus ? 1 : 0);
          Behind(minus, plus, block);
          return absl::OkStatus();
        }
      }
      if (c == '"' || c == '\'') {
        HONE_RETURN_IF_ERROR(String(c));
      } else if (StartsName(c)) {
        const size_t begin = at_;
        while (at_ < text_.size() && (StartsName(text_[at_]) || IsDigit(text_[at_]))) ++at_;
        Add(Token::Kind::kName, std::string(text_.substr(begin, at_ - begin)), begin);
      } else if (IsDigit(c)) {
        Number();
      } else {
        HONE_RETURN_IF_ERROR(Operator(&brackets));
      }
    }
    return source_.Error(open, absl::StrCat("tag without ", close));
  }

  void Number() {
    const size_t begin = at_;
    std::string digits;
    const auto run = [&] {
      for (; at_ < text_.size() && (IsDigit(text_[at_]) || text_[at_] == '_'); ++at_)
        if (text_[at_] != '_') digits += text_[at_];
    };
    run();
    const bool fraction = at_ + 1 < text_.size() && text_[at_] == '.' && IsDigit(text_[at_ + 1]);
    if (fraction) {
      digits += '.';
      ++at_;
      run();
    }
    Add(fraction ? Token::Kind::kFloat : Token::Kind::kInteger, digits, begin);
  }

  absl::Status Operator(std::string* brackets) {
    static constexpr absl::string_view kOperators[] = {
        "//", "**", "==", "!=", "<=", ">=", "+", "-", "*", "/", "%", "~", "<",
        ">",  "=",  "(",  ")",  "[",  "]",  "{", "}", ".", ",", ":", "|"};
    for (const absl::string_view op : kOperators) {
      if (!Looking(op)) continue;
      if (op == "(" || op == "[" || op == "{") {
        brackets->push_back(op[0] == '(' ? ')' : op[0] == '[' ? ']' : '}');
      } else if (op == ")" || op == "]" || op == "}") {
        if (brackets->empty() || brackets->back() != op[0])
          return source_.Error(at_, absl::StrCat("\"", op, "\" closes nothing"));
        brackets->pop_back();
      }
      Add(Token::Kind::kOperator, std::string(op), at_);
      at_ += op.size();
      return absl::OkStatus();
    }
    const CodePoint c = CodePointAt(text_, at_);
    return source_.Error(
        at_, absl::StrCat("\"", text_.substr(at_, c.length), "\" has no meaning in a tag"));
  }

  // Escapes as Python has them; an unknown one stays as it is.
  absl::Status String(char quote) {
    const size_t begin = at_++;
    std::string value;
    while (at_ < text_.size() && text_[at_] != quote) {
      if (text_[at_] != '\\' || at_ + 1 >= text_.size()) {
        value += text_[at_++];
        continue;
      }
      const char c = text_[at_ + 1];
      static constexpr absl::string_view kNames = "ntrbfv\\'\"a";
      static constexpr absl::string_view kMeanings = "\n\t\r\b\f\v\\'\"\a";
      const int digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
      if (const size_t i = kNames.find(c); i != absl::string_view::npos) {
        value += kMeanings[i];
        at_ += 2;
      } else if (c == '\n') {
        at_ += 2;
      } else if (digits > 0) {
        uint32_t code = 0;
        for (int k = 0; k < digits; ++k) {
          const char d = at_ + 2 + k < text_.size() ? text_[at_ + 2 + k] : '\0';
          if (!std::isxdigit(static_cast<unsigned char>(d)) || code > 0xFFFFFFF)
            return source_.Error(at_, absl::StrCat("\\", std::string(1, c), " needs ", digits,
                                                   " hexadecimal digits"));
          code = code * 16 + static_cast<uint32_t>(IsDigit(d) ? d - '0' : (d | 32) - 'a' + 10);
        }
        if (code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF))
          return source_.Error(at_, "no such character");
        AppendUtf8(code, &value);
        at_ += 2 + digits;
      } else {
        value += '\\';
        ++at_;
      }
    }
    if (at_ >= text_.size()) return source_.Error(begin, "string without its closing quote");
    ++at_;
    Add(Token::Kind::kString, std::move(value), begin);
    return absl::OkStatus();
  }

  const TemplateSource& source_;
  absl::string_view text_;
  size_t at_ = 0;
  std::vector<Token> tokens_;
};

}  // namespace

absl::StatusOr<std::vector<Token>> Tokenize(const TemplateSource& source) {
  return Lexer(source).Run();
}

}  // namespace hone
