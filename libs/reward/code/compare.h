#pragma once

// Compares what a program wrote with what was expected of it.

#include "absl/strings/string_view.h"

namespace hone::code {

enum class Comparison {
  kTokens,  // the words, whatever white space is between them
  kLines,   // line by line; white space at the ends of lines and empty last lines do not count
  kExact,   // every byte
};

// `float_tolerance` > 0: two words that are both decimal numbers, one at least with a point or an
// exponent, are equal when they differ by no more than that, absolutely or relative to the expected
// one. Linear, in this process: nothing of the program has a say in it.
bool SameOutput(absl::string_view got, absl::string_view expected, Comparison comparison,
                double float_tolerance);

}  // namespace hone::code
