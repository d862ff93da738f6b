#pragma once

// Units of measure: which words are one, and what they are in base units.

#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "libs/reward/math/lexer.h"
#include "libs/reward/math/node.h"

namespace hone::math {

// Whether `word` alone is a unit that may stand right after a number without \text{} ("cm").
bool IsUnitWord(absl::string_view word);

// `value` with the unit that `tokens` spell, which follow it: a kUnit ("5 cm^2", "5 km per hour"),
// kTime ("5:30 am"), kPercent or kDegree; multiplied where they begin with a number word ("5
// million"). Words that are no known unit make one that is equal to itself only ("5 red apples").
// Nothing where they are no unit at all ("5 or so", "5 squared").
std::optional<Node> WithUnit(Node value, absl::Span<const Token> tokens);

}  // namespace hone::math
