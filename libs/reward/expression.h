#pragma once

// The arithmetic of countdown: expressions of integers with + - * / and parentheses, in exact
// rationals.

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace hone {

struct ExpressionResult {
  enum Code {
    kOk,
    kSyntax,  // not an expression, or an operator that is not allowed
    kDivisionByZero,
    kOverflow,  // a number, or a value on the way, left the range of int64
    kTooLong,   // more than kMaxExpressionBytes
    kTooDeep,   // parentheses nested deeper than kMaxExpressionDepth
  };
  Code code = kSyntax;
  int64_t numerator = 0;  // the value in lowest terms, denominator > 0; meaningful where kOk
  int64_t denominator = 1;
  // Every number in the text, from left to right, -1 for one beyond int64. Where kOk,
  // kDivisionByZero or kOverflow.
  std::vector<int64_t> numbers;
  std::string why;  // where not kOk: for people, ASCII
};

inline constexpr size_t kMaxExpressionBytes = 4096;
inline constexpr int kMaxExpressionDepth = 100;

// `operators`: the allowed ones of "+-*/". The usual precedence, all left-associative; white space
// between tokens is free. Signs are not allowed (each number is written as it was given), nor are
// leading zeros.
ExpressionResult EvaluateExpression(absl::string_view text, absl::string_view operators);

}  // namespace hone
