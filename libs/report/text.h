#pragma once

// Text and numbers as the page shows them.

#include <string>

#include "absl/strings/string_view.h"

namespace hone {

// For element content and quoted attributes. Bytes that are not UTF-8 and control characters become
// U+FFFD; so do the characters that turn the writing direction, which could make a reader see
// another text than the one that was scored.
std::string EscapeHtml(absl::string_view text);

// Three significant digits: "0.512", "1.20 k", "3×10⁻⁵"; "n/a" when not finite.
std::string FormatNumber(double value);
// 0.5 -> "50.0 %".
std::string FormatPercent(double value);
// Digits in groups of three: "12 345".
std::string FormatCount(int64_t value);
// "850 ms", "12.3 s", "4 min 05 s", "2 h 07 min".
std::string FormatSeconds(double seconds);
// "wait_batch" -> "Wait batch".
std::string Humanize(absl::string_view name);

}  // namespace hone
