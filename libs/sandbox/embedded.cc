#include "libs/sandbox/embedded.h"

#include "libs/base/embed.h"

// The paths are given by CMakeLists.txt.
HONE_EMBED(hone_sandbox_runner, HONE_SANDBOX_RUNNER);
HONE_EMBED(hone_sandbox_module, HONE_SANDBOX_MODULE);
HONE_EMBED(hone_sandbox_zygote, HONE_SANDBOX_ZYGOTE);

namespace hone::sandbox {

absl::string_view RunnerProgram() {
  return HONE_EMBEDDED(hone_sandbox_runner);
}
absl::string_view ZygoteModule() {
  return HONE_EMBEDDED(hone_sandbox_module);
}
absl::string_view ZygoteScript() {
  return HONE_EMBEDDED(hone_sandbox_zygote);
}

}  // namespace hone::sandbox
