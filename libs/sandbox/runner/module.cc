// The forker of Python programs: loaded by zygote.py into the interpreter that it forks.
//
// The interpreter is not told of the fork. It has one thread, so that there are no locks to put
// right; and what modules do after a fork (threading, random) writes to a hundred pages of memory,
// which is a third of the time of a small program. The price: `random` starts from the same state
// in every program, which is what a verdict that can be repeated wants anyway.

#include <cstdlib>

#include "libs/sandbox/runner/huge_pages.h"
#include "libs/sandbox/runner/serve.h"

// The host preloads this library, so that it comes before the interpreter.
__attribute__((constructor)) static void Preloaded() {
  unsetenv("LD_PRELOAD");
  hone::sandbox::PlaceHeap();
}

extern "C" __attribute__((visibility("default"))) const char* hone_sandbox_serve(int64_t* size) {
  hone::sandbox::UseHugePages();
  const hone::sandbox::Source source = hone::sandbox::Serve();
  *size = source.size;
  return source.data;
}
