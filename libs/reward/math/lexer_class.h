#pragma once

// Private to lexer*.cc.

#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/string_view.h"
#include "libs/reward/math/lexer.h"

namespace hone::math {

// One pass over ASCII text; every method takes what it is named after at `at_`.
class Lexer {
 public:
  Lexer(absl::string_view s, bool thousands) : s_(s), thousands_(thousands) {}

  Tokens Run();

 private:
  char Peek(size_t ahead = 0) const { return at_ + ahead < s_.size() ? s_[at_ + ahead] : '\0'; }
  bool Digit(size_t ahead = 0) const { return absl::ascii_isdigit(Peek(ahead)); }
  bool InText() const { return text_depth_ > 0; }

  Token& Push(Tok type, absl::string_view text);
  void Op(char op);

  // Whether the last token ends an operand, so that a unit may follow.
  bool AfterOperand() const;

  void Next();

  // The length of "\overline{142857}" at `ahead`, or 0.
  size_t Overline(size_t ahead) const;

  std::string Digits();

  // The length of a thousands separator here, which three digits and no fourth follow; `kind` says
  // which.
  size_t Separator(char* kind);

  void Number();

  // 4.5e33, 1e-05, written out. "3e+2" in a formula is a sum.
  void Exponent(std::string* digits);

  // 1A2_{11}: digits with capital letters that a base explains.
  bool BaseWithLetters(size_t begin);

  void Letters();

  // A run of letters that began at `begin`.
  void LetterRun(absl::string_view run, size_t begin);

  void Letter(absl::string_view letter);

  // A word in another script.
  void Foreign();

  void Backslash();

  void Named();

  // "{...}" (no braces inside) or one character; taken.
  absl::string_view Argument();

  void Environment(bool begin);

  absl::string_view s_;
  const bool thousands_;
  size_t at_ = 0;
  bool spaced_ = false;
  int brackets_ = 0, text_depth_ = 0, environments_ = 0;
  std::string braces_;  // open ones: 't' a text wrapper's, 'g' a group's
  Tokens tokens_;
};

}  // namespace hone::math
