#include "libs/reward/code/host.h"

#include "libs/base/status.h"

namespace hone::code {

absl::StatusOr<Host::Pair> Host::StartPair(const sandbox::Task& tester,
                                           const sandbox::Task& program, TimePoint deadline) {
  std::unique_lock<std::timed_mutex> lock(pairing_, std::defer_lock);
  if (deadline == kNoDeadline) {
    lock.lock();
  } else if (!lock.try_lock_until(deadline)) {
    return absl::DeadlineExceededError("no two slots were free until the deadline");
  }
  Pair pair;
  HONE_ASSIGN_OR_RETURN(pair.tester, sandbox_.Start(tester, deadline));
  HONE_ASSIGN_OR_RETURN(pair.program, sandbox_.Start(program, deadline));
  return pair;
}

}  // namespace hone::code
