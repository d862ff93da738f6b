#include "services/cli/open_items.h"

#include <chrono>
#include <utility>

#include "libs/base/clock.h"

namespace hone::cli {

std::function<void(v1::Verdict)> OpenItems::Expect(v1::Verdict* verdict) {
  WaitUntilFewerThan(most_);
  MutexLock lock(mu_);
  ++open_;
  return [this, verdict](v1::Verdict said) {
    MutexLock ending(mu_);
    *verdict = std::move(said);
    --open_;
    ++done_;
    changed_.notify_all();
  };
}

void OpenItems::Wait() {
  WaitUntilFewerThan(1);
}

void OpenItems::WaitUntilFewerThan(size_t most) {
  for (;;) {
    size_t done;
    {
      MutexLock lock(mu_);
      if (lock.WaitUntil(changed_, SystemClock::Get().Now() + std::chrono::milliseconds(200),
                         [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return open_ < most; }))
        return;
      done = done_;
    }
    waiting_(done);
  }
}

}  // namespace hone::cli
