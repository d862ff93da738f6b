#include "services/cli/up/supervisor.h"

#include <algorithm>
#include <csignal>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "libs/base/status.h"

namespace hone::cli {
namespace {

constexpr int kLogLines = 12;

double Seconds(Duration d) {
  return std::chrono::duration<double>(d).count();
}

TimePoint Now() {
  return SystemClock::Get().Now();
}

}  // namespace

Supervisor::Supervisor(std::vector<ServicePlan> plans, const Policy& policy,
                       ShutdownSignals& signals, Output& output)
    : policy_(policy), signals_(signals), output_(output), states_(plans.size()) {
  children_.reserve(plans.size());
  for (ServicePlan& plan : plans) children_.emplace_back(std::move(plan));
}

absl::Status Supervisor::Run(const std::function<void()>& ready) {
  const absl::Status status = Serve(ready);
  Stop();
  return status;
}

absl::Status Supervisor::Serve(const std::function<void()>& ready) {
  for (Child& child : children_) HONE_RETURN_IF_ERROR(child.Start());
  const TimePoint ready_by = Now() + policy_.ready;
  bool told = false;
  while (!signals_.WaitFor(std::chrono::milliseconds(100)).has_value()) {
    for (size_t i = 0; i < children_.size(); ++i) HONE_RETURN_IF_ERROR(Watch(i));
    if (told) continue;
    std::vector<std::string> missing;
    for (const Child& child : children_)
      if (!child.Ready()) missing.push_back(child.plan().name);
    if (missing.empty()) {
      told = true;
      ready();
    } else if (Now() > ready_by) {
      const auto late = std::find_if(children_.begin(), children_.end(), [&](const Child& c) {
        return c.plan().name == missing.front();
      });
      return absl::DeadlineExceededError(absl::StrCat(
          "not ready after ", Seconds(policy_.ready), " s: ", absl::StrJoin(missing, ", "),
          "; the end of ", late->plan().log, ":\n", late->LastLines(kLogLines)));
    }
  }
  return absl::OkStatus();
}

absl::Status Supervisor::Watch(size_t i) {
  Child& child = children_[i];
  State& state = states_[i];
  if (child.pid() == 0) {
    if (Now() < state.restart_at) return absl::OkStatus();
    output_.Note(absl::StrCat("starting ", child.plan().name, " again"));
    return child.Start();
  }
  const std::optional<std::string> end = child.Reap();
  if (!end.has_value()) return absl::OkStatus();
  const Duration lived = Now() - child.started();
  state.fast_crashes = lived < policy_.fast ? state.fast_crashes + 1 : 1;
  if (state.fast_crashes >= policy_.most_fast_crashes)
    return absl::AbortedError(absl::StrCat(
        child.plan().name, " ended ", state.fast_crashes, " times in a row, the last time with ",
        *end, "; the end of ", child.plan().log, ":\n", child.LastLines(kLogLines)));
  const Duration pause = policy_.first_pause * (1 << (state.fast_crashes - 1));
  state.restart_at = Now() + pause;
  output_.Note(absl::StrCat(child.plan().name, " ended with ", *end, " after ",
                            Elapsed(Seconds(lived)), "; next try in ", Elapsed(Seconds(pause)),
                            " (log: ", child.plan().log, ")"));
  return absl::OkStatus();
}

void Supervisor::Stop() {
  // One role after another, so that each still finds the services that it hands its work back to.
  const TimePoint kill_at = Now() + policy_.drain;
  const auto role = [](const Child& c) { return c.plan().binary; };
  for (auto last = children_.rbegin(); last != children_.rend();) {
    auto next = last;
    while (next != children_.rend() && role(*next) == role(*last)) (next++)->Signal(SIGTERM);
    for (auto c = last; c != next; ++c) {
      bool killed = false;
      while (c->pid() != 0 && !c->Reap().has_value()) {
        if (!killed && Now() > kill_at) {
          output_.Note(absl::StrCat(c->plan().name, " does not stop; killing it"));
          c->Signal(SIGKILL);
          killed = true;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
      }
    }
    last = next;
  }
}

}  // namespace hone::cli
