#pragma once

// Takes the typography out of an answer written in LaTeX or plain text, in linear time.

#include <string>

#include "absl/strings/string_view.h"

namespace hone::math {

// Marks where the content of \text{...}, \mathrm{...} and the like begins, in what Clean returns.
inline constexpr char kWrapped = '\x01';

// The answer without what does not change its meaning: dollar signs and other formula delimiters,
// sizes (\left, \displaystyle), emphasis, the wrappers \text{}, \mathrm{}, \boxed{} ... (replaced
// by kWrapped and their content), a final full stop. Spaces of every kind become one ' ', the
// variants of a command one command (\dfrac is \frac), Unicode signs their ASCII or LaTeX spelling,
// degree signs the word "degree", "{,}" and ",\!" a comma. NUL and other control characters are
// dropped.
std::string Clean(absl::string_view answer);

// For comparing what is not a number: `clean` without spaces and marks, \frac12 as \frac{1}{2},
// \sqrt2 as \sqrt{2}, one kind of matrix, "(C)" as "C", and lower case where it is nothing but
// words.
std::string CanonicalText(absl::string_view clean);

}  // namespace hone::math
