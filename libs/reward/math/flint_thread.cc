#include "libs/reward/math/flint_thread.h"

#include <flint/flint.h>

namespace hone::math {
namespace {

struct Caches {
  ~Caches() { flint_cleanup(); }
};

}  // namespace

void EnterFlint() {
  thread_local Caches caches;
  (void)&caches;
}

}  // namespace hone::math
