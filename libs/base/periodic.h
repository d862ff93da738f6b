#pragma once

// A named thread that runs a function again and again.

#include <condition_variable>
#include <functional>
#include <string>
#include <thread>

#include "absl/strings/string_view.h"
#include "libs/base/clock.h"
#include "libs/base/mutex.h"

namespace hone {

// Runs `work` every `period`, first after one period; runs never overlap, and after a slow one the
// next comes a whole period later rather than in a burst. `work` must not throw, and must not
// destroy the Periodic. The thread carries the first 15 characters of `name`. Thread-safe.
class Periodic {
 public:
  // `period` > 0.
  Periodic(absl::string_view name, Duration period, std::function<void()> work);
  // Waits for the run in progress, and starts no other.
  ~Periodic();
  Periodic(const Periodic&) = delete;
  Periodic& operator=(const Periodic&) = delete;

  // Makes a run start as soon as none is in progress. Calls that come before it starts are one.
  void Trigger();
  // As the destructor; idempotent. Not from inside `work`.
  void Stop();

 private:
  void Loop();

  const std::string name_;
  const Duration period_;
  const std::function<void()> work_;
  Mutex mu_;
  std::condition_variable wake_;
  bool stopped_ ABSL_GUARDED_BY(mu_) = false;
  bool triggered_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_;  // Last: starts when everything above is there.
};

// Names the calling thread for debuggers and `top -H`; Linux keeps 15 characters.
void NameThisThread(absl::string_view name);

}  // namespace hone
