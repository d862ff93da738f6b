#pragma once

// Arithmetic with intervals of proven bounds: what differs is certainly different.

#include <string>
#include <vector>

#include "libs/reward/math/budget.h"
#include "libs/reward/math/node.h"

namespace hone::math {

// What \log without a base is. Answers that are equal under either convention are equal.
enum class Logarithm { kBase10, kNatural };

// Two expressions without symbols, at 64 to 2048 bits: kUnequal (certain), kProved (by Calcium),
// kNumeric (2048 bits do not separate them), kUndefined (one has no finite value), kBudget.
Match SameConstant(const Node& a, const Node& b, Logarithm logarithm, Budget* budget);

// |a - b| <= tolerance, all without symbols.
bool Close(const Node& a, const Node& b, const Node& tolerance, Budget* budget);

// The sign of a - b where it is certain, else 0.
int Order(const Node& a, const Node& b, Budget* budget);

// Two expressions with symbols, at seeded points: positive ones, and those with negative
// coordinates where neither leaves the real numbers on its way; at natural numbers where one has
// floors, factorials or the like. kUnequal (certain), kNumeric, kUndefined, kBudget.
Match SameFunction(const Node& a, const Node& b, Logarithm logarithm, Budget* budget);

// Whether a = c * b for a constant c other than 0 (`positive`: above 0): equations a = 0 and b = 0
// that are multiples of each other.
Match SameUpToFactor(const Node& a, const Node& b, bool positive, Logarithm logarithm,
                     Budget* budget);

}  // namespace hone::math
