#pragma once

// A time ledger: at any moment a process is in exactly one named state, so that the seconds of all
// states add up to the seconds that it has lived, to the nanosecond. What a dashboard shows as
// "waiting for prompts" is then not an estimate, and nothing can hide in the gaps between timers.
//
//   Ledger ledger({"idle", "generate", "wait_weights"});   // Starts in the first one.
//   {
//     auto scope = ledger.Enter("generate");
//     { auto inner = ledger.Enter("wait_weights"); ... }    // Is charged instead of "generate".
//   }                                                        // Back to "idle".
//
// Scopes nest. Those of several threads may overlap in any order: the one entered last among those
// that are open is charged. States are for a process' main loop; a background thread that enters
// one takes the time away from it, which is right for "the whole process waits for this" and wrong
// for everything else.

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "libs/base/clock.h"
#include "libs/base/mutex.h"
#include "libs/telemetry/metrics.h"

namespace hone {

// Thread-safe.
class Ledger {
 public:
  // At least one state, all different, [a-z0-9_]. `clock` must outlive the ledger.
  explicit Ledger(std::vector<std::string> states, const Clock& clock = SystemClock::Get());
  Ledger(const Ledger&) = delete;
  Ledger& operator=(const Ledger&) = delete;

  // Movable; leaves the state when destroyed. Must not outlive the ledger.
  class Scope {
   public:
    Scope(Scope&& other) noexcept
        : ledger_(std::exchange(other.ledger_, nullptr)), id_(other.id_) {}
    Scope& operator=(Scope&&) = delete;
    ~Scope() { Leave(); }
    // Leaves earlier than the end of the block. Idempotent.
    void Leave();

   private:
    friend class Ledger;
    Scope(Ledger* ledger, uint64_t id) : ledger_(ledger), id_(id) {}
    Ledger* ledger_;
    uint64_t id_;
  };
  // A state that the constructor was not given is a bug.
  [[nodiscard]] Scope Enter(absl::string_view state);

  struct Totals {
    std::vector<std::pair<std::string, Duration>> states;  // In the constructor's order.
    Duration elapsed{};   // Since construction; the exact sum of all.
    std::string current;  // What time is charged to now.
  };
  Totals Read() const;

 private:
  int Find(absl::string_view state) const;
  // Charges the time since the last change to the state of that time.
  void Charge() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  int Current() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const std::vector<std::string> states_;
  const Clock& clock_;
  const TimePoint start_;
  mutable Mutex mu_;
  mutable TimePoint charged_until_ ABSL_GUARDED_BY(mu_);
  mutable std::vector<Duration> totals_ ABSL_GUARDED_BY(mu_);
  std::vector<std::pair<uint64_t, int>> open_
      ABSL_GUARDED_BY(mu_);  // (scope, state), oldest first.
  uint64_t next_scope_ ABSL_GUARDED_BY(mu_) = 1;
};

// hone_<component>_ledger_seconds_total{state}, for as long as the result lives; `ledger` must live
// longer.
[[nodiscard]] Metrics::Callback ExportLedger(Metrics& metrics, absl::string_view component,
                                             const Ledger& ledger);

}  // namespace hone
