#pragma once

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/base/file.h"

namespace hone::sandbox {

// A file without a name that holds `data` and that nobody can change; read from its beginning.
absl::StatusOr<FileDescriptor> MemoryFile(const char* name, absl::string_view data);

}  // namespace hone::sandbox
