#pragma once

// The vocabulary of the lexer.

#include "absl/strings/string_view.h"

namespace hone::math {

// What the LaTeX command `name` (without backslash) means.
struct Command {
  enum Action : char {
    kSkip,      // typography
    kSpace,     // white space
    kOp,        // an operator: `text` is its character
    kConstant,  // `text`
    kFunction,  // `text`
    kWord,      // `text`
    kWrapper,   // its argument is text
    kMath,      // its argument is mathematics that only looks different
    kAlphabet,  // \mathbb{R}: a letter of its own
    kSkipArgument,
  };
  absl::string_view name;
  Action action;
  absl::string_view text;
};

// nullptr for an unknown command.
const Command* FindCommand(absl::string_view name);

// A UTF-8 sign and how else it is written; nullptr where `rest` begins with none.
struct UnicodeSign {
  absl::string_view sign, spelling;
};
const UnicodeSign* FindUnicode(absl::string_view rest);

// A function in plain text ("sin", "sqrt"), as the lexer calls it; empty for none.
absl::string_view PlainFunction(absl::string_view word);

}  // namespace hone::math
