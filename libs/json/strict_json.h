#pragma once

// JSON from files, processes and servers that nobody vouches for. The only place that catches the
// JSON library's exceptions. Include it in sources only: the header names nlohmann's types.

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace hone {

// Well-formed UTF-8: no overlong forms, no surrogates, nothing above U+10FFFF.
bool IsUtf8(absl::string_view text);

// Refuses what the JSON library lets through although RFC 8259 does not: a byte order mark, and NUL
// bytes, which it takes for the end of the text.
absl::Status CheckJsonText(absl::string_view text);

// Parses an object; duplicate keys and nesting beyond `max_depth` are errors. INVALID_ARGUMENT with
// `what` (a file name, a peer) in the message. Time is linear in the text.
absl::StatusOr<nlohmann::json> ParseJsonObject(absl::string_view text, absl::string_view what,
                                               int max_depth = 32);

}  // namespace hone
