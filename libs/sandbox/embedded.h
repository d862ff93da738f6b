#pragma once

// The forkers, as files inside this program: what runs always fits what was built.

#include "absl/strings/string_view.h"

namespace hone::sandbox {

absl::string_view RunnerProgram();  // an ELF program, statically linked
absl::string_view ZygoteModule();   // an ELF module
absl::string_view ZygoteScript();   // Python

}  // namespace hone::sandbox
