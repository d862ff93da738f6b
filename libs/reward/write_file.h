#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace hone {

// Writes folder/name, making the folder where it is not there; an existing file is replaced.
// UNAVAILABLE with the path and the reason.
absl::Status WriteFile(const std::string& folder, absl::string_view name,
                       absl::string_view content);

}  // namespace hone
