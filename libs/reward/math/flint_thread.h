#pragma once

namespace hone::math {

// To be called before any function of FLINT, Arb or Calcium: this thread's caches are freed when it
// ends. They keep constants to the precision asked for and do not grow with the number of calls.
void EnterFlint();

}  // namespace hone::math
