#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "services/cli/context.h"

namespace hone::cli {

// Sends a file of JSON lines to prompt set `id`, which is made if it is not there, in chunks of
// whole lines. What an earlier upload committed is not sent again; a coordinator that goes away
// meanwhile is waited for. With `seal`, the set is closed and its SHA-256 compared with the file's:
// DATA_LOSS when an earlier upload came from another file. ALREADY_EXISTS for a sealed set with
// other contents. INVALID_ARGUMENT lists bad lines as "file:line: what".
absl::StatusOr<v1::PromptSet> UploadPrompts(Context& context, const std::string& path,
                                            const std::string& id, bool seal);

}  // namespace hone::cli
