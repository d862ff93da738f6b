#pragma once

// Finds the final answer in a piece of mathematical prose.

#include <optional>

#include "absl/strings/string_view.h"

namespace hone::math {

struct Extraction {
  absl::string_view answer;  // a piece of the text; may be blank
  absl::string_view how;     // "boxed", "answer tags", "####", ...; a literal
};

// The first of these that `text` has; of several of one kind the last:
//   1. <answer>...</answer> (and inside it whatever of 2 to 5 it has, else all of it)
//   2. \boxed{...} or \fbox{...} with matched braces, or \boxed 5
//   3. "#### ...", to the end of the line
//   4. "final answer is ...", "final answer: ..." or "answer is ...", to the end of the sentence
//   5. a line "Answer: ..." or "A: ..."
// Linear in the size of the text.
std::optional<Extraction> ExtractAnswer(absl::string_view text);

// What the last \boxed{...} holds, for callers that want nothing else.
std::optional<absl::string_view> LastBoxed(absl::string_view text);

}  // namespace hone::math
