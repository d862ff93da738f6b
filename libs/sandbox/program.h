#pragma once

// One program that runs in a slot: its pipes, its limits, its end.

#include <ctime>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "libs/sandbox/forker.h"
#include "libs/sandbox/sandbox.h"

namespace hone::sandbox {

class Program final : public Session {
 public:
  // Gives the task to `slot`, which is ready. `released` is called once, when nothing of the
  // program is left. With `channel`, Send and Receive may be called.
  static absl::StatusOr<std::unique_ptr<Program>> Start(Slot slot, const Task& task, bool channel,
                                                        std::function<void()> released);
  ~Program() override;

  absl::Status Send(absl::string_view data, TimePoint deadline) override;
  absl::StatusOr<std::string> Receive(size_t most, TimePoint deadline) override;
  void Kill() override { Kill(Ending::kCancelled); }
  absl::StatusOr<Result> Wait(TimePoint deadline) override;

 private:
  Program(Slot slot, const Task& task, FileDescriptor channel, std::function<void()> released);

  absl::Status GiveTask(const Task& task, const FileDescriptor& channel);
  // Waits for something to happen, at most until `until`, and sees to it: output, limits, the end.
  // Returns what `channel_events` (of poll) the channel has.
  short Step(TimePoint until, short channel_events);
  void Drain(FileDescriptor& pipe, std::string& text);
  void ReadTaskSocket();
  void ReadReport();
  TimePoint EnforceLimits(TimePoint now);
  void Kill(Ending why);
  // Waits until no process is left. The status is of the sandbox, never of the program.
  absl::Status Finish();
  Ending HowItEnded() const;
  double CpuSeconds() const;

  Slot slot_;
  const Limits limits_;
  const std::vector<std::string> outputs_;
  FileDescriptor channel_;
  std::function<void()> released_;
  TimePoint start_;
  clockid_t clock_ = 0;     // CPU time of the program's process
  double clock_start_ = 0;  // what it showed when the task was given, in s
  std::optional<Ending> killed_;
  std::optional<wire::Report> ended_;  // of the program itself
  bool gone_ = false;
  absl::Status failed_;
  Result result_;
};

}  // namespace hone::sandbox
