#include "libs/telemetry/ledger.h"

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "libs/base/check.h"

namespace hone {

Ledger::Ledger(std::vector<std::string> states, const Clock& clock)
    : states_(std::move(states)),
      clock_(clock),
      start_(clock.Now()),
      charged_until_(start_),
      totals_(states_.size(), Duration::zero()) {
  HONE_CHECK(!states_.empty()) << "a ledger without states";
  HONE_CHECK(std::set<std::string>(states_.begin(), states_.end()).size() == states_.size())
      << "a state is named twice";
  for (const std::string& state : states_)
    HONE_CHECK(!state.empty() && state.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") ==
                                     std::string::npos)
        << "state \"" << state << "\"";
}

int Ledger::Find(absl::string_view state) const {
  const auto at = std::find(states_.begin(), states_.end(), state);
  HONE_CHECK(at != states_.end()) << "the ledger has no state \"" << state << "\"";
  return static_cast<int>(at - states_.begin());
}

int Ledger::Current() const {
  return open_.empty() ? 0 : open_.back().second;
}

void Ledger::Charge() const {
  const TimePoint now = clock_.Now();
  totals_[Current()] += now - charged_until_;
  charged_until_ = now;
}

Ledger::Scope Ledger::Enter(absl::string_view state) {
  const int index = Find(state);
  MutexLock lock(mu_);
  Charge();
  open_.emplace_back(next_scope_, index);
  return Scope(this, next_scope_++);
}

void Ledger::Scope::Leave() {
  if (ledger_ == nullptr) return;
  Ledger& ledger = *std::exchange(ledger_, nullptr);
  MutexLock lock(ledger.mu_);
  ledger.Charge();
  const auto at = std::find_if(ledger.open_.begin(), ledger.open_.end(),
                               [this](const auto& open) { return open.first == id_; });
  HONE_CHECK(at != ledger.open_.end()) << "scope " << id_ << " is not open";
  ledger.open_.erase(at);
}

Ledger::Totals Ledger::Read() const {
  MutexLock lock(mu_);
  Charge();
  Totals totals;
  for (size_t i = 0; i < states_.size(); ++i) totals.states.emplace_back(states_[i], totals_[i]);
  totals.elapsed = charged_until_ - start_;
  totals.current = states_[Current()];
  return totals;
}

Metrics::Callback ExportLedger(Metrics& metrics, absl::string_view component,
                               const Ledger& ledger) {
  return metrics.AddCallback(
      MetricKind::kCounter, absl::StrCat("hone_", component, "_ledger_seconds_total"),
      "Time by state; the states add up to the age of the process.", Metrics::Source([&ledger] {
        std::vector<Metrics::Sample> samples;
        for (const auto& [state, total] : ledger.Read().states)
          samples.push_back({{{"state", state}}, std::chrono::duration<double>(total).count()});
        return samples;
      }));
}

}  // namespace hone
