#pragma once

// Arithmetic without rounding: rational numbers and quotients of polynomials.

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "libs/reward/math/budget.h"
#include "libs/reward/math/node.h"

namespace hone::math {

// Whether two expressions without variables are the same rational number; nothing where one is
// irrational, undefined, or too large to be written out.
std::optional<bool> SameRational(const Node& a, const Node& b, Budget* budget);

// Whether two expressions are the same quotient of polynomials over the rationals. kUnequal is
// certain, kProved too; kNumeric: equal at points of a field of 2^61 elements, but too large to be
// expanded. kUndefined where one is no such quotient.
Match SameQuotient(const Node& a, const Node& b, Budget* budget);

// A small integer or fraction that `node` is written as: 3, -1/2. For exponents and indices.
std::optional<std::pair<int64_t, int64_t>> SmallFraction(const Node& node);

// The value of a kNumber as numerator and denominator, in decimal digits.
std::pair<std::string, std::string> NumberAsFraction(const Node& number);

}  // namespace hone::math
