#pragma once

// Answers as typed trees: a Pratt parser over the lexer's tokens.

#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "libs/reward/math/lexer.h"
#include "libs/reward/math/node.h"

namespace hone::math {

inline constexpr size_t kMaxAnswerBytes = 4096;

struct Answer {
  enum Form {
    kBlank,     // nothing is written
    kParsed,    // `node`
    kText,      // words: `node` is a kText
    kUnparsed,  // only `spelling` is known
  };
  Form form = kBlank;
  Node node;
  // The other reading of "1,234": a list. (`node` is the number.)
  std::optional<Node> list;
  // Without typography; equal spellings are equal answers.
  std::string spelling;
  // 'C' of "(C) because" and "C. 42", where more than the letter is written; else 0.
  char choice = 0;
};

// `text` has at most kMaxAnswerBytes. Never fails. Linear time; nesting beyond 64 is kUnparsed.
Answer ParseAnswer(absl::string_view text);

// One expression, list, relation ... from all of `tokens`; nothing if they are none.
std::optional<Node> Parse(Tokens tokens);

}  // namespace hone::math
