#pragma once

// Whether two answers are the same, and how that was found.

#include "libs/reward/math/budget.h"
#include "libs/reward/math/node.h"
#include "libs/reward/math/parser.h"

namespace hone::math {

// What counts as the same, explicit per prompt set.
struct Policy {
  enum class Percent {
    kNumber,    // 33% is 33
    kFraction,  // 33% is 33, and 0.33
    kStrict,    // 33% is 33% only
  };
  enum class Units {
    kLenient,  // a unit may be left out; two units must agree (5 cm is 0.05 m, but no 5 kg)
    kIgnore,   // units say nothing
    kStrict,   // both have the same unit, or none
  };
  enum class Approximation {
    kExact,              // 0.33 is no 1/3
    kRelative,           // a decimal within `tolerance` of the reference's value is equal
    kReferenceDecimals,  // what rounds to a decimal reference of d places is equal
  };
  Percent percent = Percent::kNumber;
  Units units = Units::kLenient;
  Approximation approximation = Approximation::kExact;
  Node tolerance = Node(Kind::kNumber, "0.000001");  // of the value, not negative
};

// Never kUndefined. Deterministic; bounded work (kBudget).
Match Compare(const Answer& prediction, const Answer& reference, const Policy& policy);

}  // namespace hone::math
