#pragma once

// Takes LaTeX and plain text apart into tokens. What is typography only (\left, \displaystyle, $,
// \text{} around a number) is gone; the variants of a sign are one token.

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace hone::math {

enum class Tok : uint8_t {
  kEnd,
  kNumber,    // text: "1234.50"; count: how many of the last digits repeat
  kBase,      // text: "1A2"; count: the base
  kLetter,    // text: "x", "\alpha", "\mathbb{R}"
  kConstant,  // text: "pi", "e", "i", "infinity"
  kFunction,  // text: "sin", "log", "overline"
  kWord,      // text: as written, or "and", "or", "dollar" for their signs
  kBegin,     // \begin{text}
  kEndEnv,    // \end{...}
  kOp,        // op
};

// `op` of a kOp: itself for + - * / ^ _ ! ( ) [ ] { } < > = , ; : | ' %, and for commands
//   S s  \{ \}              l g n ~ c   <= >= != \approx \equiv    e E  \in \notin
//   d    degree             & N         & and \\ of matrices       p m  \pm \mp
//   F B R  \frac \binom \sqrt           L J C D  floor and ceiling brackets
//   A a  \langle \rangle    U I \       \cup \cap \setminus        M  \pmod, \bmod
//   o    ...                T           \to, \Rightarrow and the like, and what has no meaning here
struct Token {
  Tok type = Tok::kEnd;
  char op = 0;
  bool spaced = false;   // white space before it
  bool wrapped = false;  // inside \text{} or the like
  int count = 0;
  std::string text;

  bool Is(char c) const { return type == Tok::kOp && op == c; }
};

struct Tokens {
  std::vector<Token> list;  // ends in a kEnd
  // A comma was read as a thousands separator that might as well separate the items of a list.
  bool ambiguous_commas = false;
};

// Linear in the size of `text`; never fails. `thousands`: "1,234" is one number (outside brackets).
Tokens Tokenize(absl::string_view text, bool thousands);

// All tokens in one line, lower-case words: equal for answers that differ in typography only.
std::string Spelling(const Tokens& tokens);

}  // namespace hone::math
