#pragma once

// One program that runs in a slot: its pipes, its limits, its end.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "libs/sandbox/forker.h"
#include "libs/sandbox/sandbox.h"
#include "libs/sandbox/usage.h"

namespace hone::sandbox {

class Program final : public Session {
 public:
  // Gives the task to `slot`, which is ready. `released` gets it back, once, at
  // the very end. With `channel`, Send and Receive may be called.
  static absl::StatusOr<std::unique_ptr<Program>> Start(
      Slot slot, const Task& task, bool channel, std::function<void(Slot, bool gone)> released);
  ~Program() override;

  absl::Status Send(absl::string_view data, TimePoint deadline) override;
  absl::StatusOr<std::string> Receive(size_t most, TimePoint deadline) override;
  void Kill() override { Kill(Ending::kCancelled); }
  absl::StatusOr<Result> Wait(TimePoint deadline) override;

 private:
  Program(Slot slot, const Task& task, FileDescriptor channel,
          std::function<void(Slot, bool gone)> released);

  absl::Status GiveTask(const Task& task, const FileDescriptor& channel);
  // Waits for something to happen, at most until `until`, and sees to it: output, limits, the end.
  // Returns what `channel_events` (of poll) the channel has.
  short Step(TimePoint until, short channel_events);
  void Drain(FileDescriptor& pipe, std::string& text);
  void ReadTaskSocket();
  void ReadReport();
  void EnforceLimits(TimePoint now);
  Usage Measure() const;
  void Kill(Ending why);
  // Waits until no process is left. The status is of the sandbox, never of the program.
  absl::Status Finish();
  Ending HowItEnded() const;
  double CpuSeconds() const;  // once it is gone

  Slot slot_;
  const Limits limits_;
  const std::vector<std::string> outputs_;
  FileDescriptor channel_;
  std::function<void(Slot, bool gone)> released_;
  TimePoint start_;
  pid_t tree_ = 0;        // root of the program's processes, where there can be several
  double cpu_start_ = 0;  // CPU time of the slot when it got the task, in s
  TimePoint look_;        // when to look at the limits again
  std::optional<Ending> killed_;
  std::optional<wire::Report> ended_;  // of the program itself
  wire::Report gone_report_ = {};      // of all of its processes
  bool gone_ = false;
  absl::Status failed_;
  Result result_;
};

}  // namespace hone::sandbox
