#pragma once

// "Did you mean": the known name that a misspelt one was most likely meant to be.

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace hone {

// Number of insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`.
int EditDistance(absl::string_view a, absl::string_view b);

// The candidate nearest to `name`, or "" when none is near (more than a third of the letters
// wrong). Upper and lower case, '-' and '_' count as equal.
std::string Closest(absl::string_view name, const std::vector<std::string>& candidates);

}  // namespace hone
