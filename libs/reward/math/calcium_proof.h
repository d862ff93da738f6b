#pragma once

#include <optional>

#include "libs/reward/math/budget.h"
#include "libs/reward/math/node.h"

namespace hone::math {

// Whether a = b for expressions without symbols, proved in a field of algebraic and elementary
// numbers (Calcium). Only small ones are tried, as a proof cannot be interrupted; nothing where it
// is not decided.
std::optional<bool> ProveConstant(const Node& a, const Node& b, Budget* budget);

}  // namespace hone::math
