// The forker of Python programs: loaded by zygote.py into the interpreter that it forks.

#include <dlfcn.h>

#include "libs/sandbox/runner/serve.h"

extern "C" __attribute__((visibility("default"))) const char* hone_sandbox_serve(int64_t* size) {
  const auto hook = [](const char* name) {
    return reinterpret_cast<void (*)()>(dlsym(RTLD_DEFAULT, name));
  };
  const hone::sandbox::Source source = hone::sandbox::Serve(
      {hook("PyOS_BeforeFork"), hook("PyOS_AfterFork_Parent"), hook("PyOS_AfterFork_Child")});
  *size = source.size;
  return source.data;
}
