#include "libs/sandbox/embedded.h"

// The paths are given by CMakeLists.txt.
#define HONE_EMBED(name, path)          \
  asm(".section .rodata\n"              \
      ".balign 16\n" #name              \
      "_begin:\n"                       \
      ".incbin \"" path "\"\n" #name    \
      "_end:\n"                         \
      ".byte 0\n"                       \
      ".previous\n");                   \
  extern "C" const char name##_begin[]; \
  extern "C" const char name##_end[]

HONE_EMBED(hone_sandbox_runner, HONE_SANDBOX_RUNNER);
HONE_EMBED(hone_sandbox_module, HONE_SANDBOX_MODULE);
HONE_EMBED(hone_sandbox_zygote, HONE_SANDBOX_ZYGOTE);

namespace hone::sandbox {

absl::string_view RunnerProgram() {
  return {hone_sandbox_runner_begin,
          static_cast<size_t>(hone_sandbox_runner_end - hone_sandbox_runner_begin)};
}
absl::string_view ZygoteModule() {
  return {hone_sandbox_module_begin,
          static_cast<size_t>(hone_sandbox_module_end - hone_sandbox_module_begin)};
}
absl::string_view ZygoteScript() {
  return {hone_sandbox_zygote_begin,
          static_cast<size_t>(hone_sandbox_zygote_end - hone_sandbox_zygote_begin)};
}

}  // namespace hone::sandbox
