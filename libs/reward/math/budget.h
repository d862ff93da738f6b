#pragma once

// How the equality of two answers was found, and the work that finding it may cost.

#include "absl/strings/string_view.h"

namespace hone::math {

enum class Match {
  kExact,               // equal as written, typography apart
  kProved,              // equal: exact arithmetic or an algebraic proof
  kNumeric,             // equal to 2048 bits, or at all points tried
  kUnequal,             // certainly different values
  kDifferentType,       // a list is no number, 5 cm is no 5 kg
  kUnparsedPrediction,  // not understood, and spelt otherwise
  kUnparsedReference,
  kBudget,     // too large or too deep to decide
  kUndefined,  // internal to the ladder: this rung cannot tell
};

inline bool Equal(Match m) {
  return m == Match::kExact || m == Match::kProved || m == Match::kNumeric;
}

// The weaker way of two equal parts; the first that is not equal otherwise.
inline Match Both(Match a, Match b) {
  if (!Equal(a)) return a;
  if (!Equal(b)) return b;
  return a > b ? a : b;
}

// For reasons: "exact", "proved", "numeric", "different", ...
absl::string_view MatchName(Match m);

// A count of steps that the evaluators take off; one step is about a microsecond or less. There is
// no clock in it, so that the same answers always get the same verdict.
class Budget {
 public:
  explicit Budget(long steps) : left_(steps) {}
  // False when the budget is used up, and ever after.
  bool Spend(long steps) {
    left_ -= steps;
    return left_ >= 0;
  }
  bool spent() const { return left_ < 0; }

 private:
  long left_;
};

}  // namespace hone::math
