#pragma once

// An answer, read: an exact number with its unit, or normalised text.

#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "libs/reward/math/rational.h"

namespace hone::math {

struct Value {
  std::string variable;            // "x" of "x = 5"; empty where there is none
  std::optional<Rational> number;  // 5, -1,234.5, 3/4, \frac34, 2\frac12, 1.5 \times 10^{3}, 1e3
  std::string
      unit;  // of a number: lower case, singular, "%" or "degree"; empty where there is none
  std::string text;  // normalised; of a number: what was written, for messages

  // Nothing was written.
  bool empty() const { return text.empty(); }
};

inline constexpr size_t kMaxAnswerBytes = 4096;

// `answer` has at most kMaxAnswerBytes bytes. Never fails: what is not a number is text.
Value ReadValue(absl::string_view answer);

// Numbers are equal when they are so exactly and not both have different units; texts when they are
// the same after normalisation; a number never equals a text. "x = 5" equals "5" but not "y = 5".
bool SameValue(const Value& a, const Value& b);

}  // namespace hone::math
