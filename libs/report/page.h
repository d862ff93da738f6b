#pragma once

// The page's style sheet and script, which are written into it.

#include "absl/strings/string_view.h"

namespace hone {

absl::string_view PageStyle();
// The read-out: a cursor over all curves at once. The page is complete without it.
absl::string_view PageScript();

}  // namespace hone
