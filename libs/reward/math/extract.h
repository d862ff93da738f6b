#pragma once

// Finds the final answer in a piece of mathematical prose.

#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace hone::math {

// Which of several \boxed{...} count.
enum class Boxes {
  kLast,   // the last one, with those just before it ("\boxed{1} and \boxed{2}" is "1, 2")
  kJoin,   // all that differ, as a list
  kAgree,  // all, and they must be the same
};

struct Extraction {
  std::string answer;     // may be blank
  absl::string_view how;  // "boxed", "answer tags", "####", ...; a literal
  bool disagree = false;  // kAgree, and the boxes are not the same
};

// The first of these that `text` has; of several of one kind the last:
//   1. <answer>...</answer> (and inside it whatever of 2 to 5 it has, else all of it)
//   2. \boxed{...} or \fbox{...} with matched braces, or \boxed 5; unless 3, or a 4 that goes on
//      with a formula, comes later
//   3. "#### ...", to the end of the line
//   4. "final answer is ...", "final answer: ...", or such a heading, to the end of the sentence
//   5. "answer is ..." or "answer: ..."; a line "A: ..."; the Chinese for these in 4 and 5
// Linear in the size of the text, in one pass.
std::optional<Extraction> ExtractAnswer(absl::string_view text, Boxes boxes = Boxes::kLast);

}  // namespace hone::math
