#include "libs/sandbox/program.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/sandbox/memory_file.h"
#include "libs/sandbox/runner/system.h"
#include "libs/sandbox/work_folder.h"

namespace hone::sandbox {
namespace {

constexpr Duration kLook = std::chrono::milliseconds(50);  // at least so often, at what it uses
constexpr int64_t kShared = int64_t{32} << 20;  // of a process's memory, what others have too
constexpr Duration kDeathTime = std::chrono::seconds(30);  // from SIGKILL until the report of it

TimePoint Now() {
  return SystemClock::Get().Now();
}

Duration Seconds(double s) {
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(std::min(s, 1e8)));
}

void Append(std::string& blob, absl::string_view s) {
  const int64_t size = static_cast<int64_t>(s.size());
  blob.append(reinterpret_cast<const char*>(&size), sizeof(size));
  blob.append(s.data(), s.size());
  blob.push_back('\0');
}

wire::Start StartOf(const Task& task, const Slot& slot, bool channel) {
  const Limits& limits = task.limits;
  wire::Start start = {};
  start.arguments = static_cast<int32_t>(task.argv.size());
  start.files = static_cast<int32_t>(task.files.size());
  start.python = task.language == Language::kPython;
  start.channel = channel;
  // The kernel counts whole seconds, and is the backstop of what this process counts.
  start.cpu_seconds = static_cast<int64_t>(std::ceil(limits.cpu_seconds)) + 1;
  start.stack_bytes = std::min<int64_t>(limits.memory_bytes, int64_t{64} << 20);
  start.file_bytes = limits.file_bytes;
  start.open_files = 256;
  start.processes = slot.most_tasks;
  if (start.python != 0) {
    start.memory_bytes = limits.memory_bytes;
    start.data_bytes = -1;
  } else {
    // Run-times reserve addresses that they never use, so that only what can be written counts.
    start.memory_bytes = 4 * limits.memory_bytes + (int64_t{1} << 30);
    start.data_bytes = limits.memory_bytes;
  }
  return start;
}
}  // namespace

absl::StatusOr<std::unique_ptr<Program>> Program::Start(Slot slot, const Task& task, bool channel,
                                                        std::function<void(Slot, bool)> released) {
  FileDescriptor host, program;
  if (channel) {
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0)
      return ErrnoStatus(errno, "cannot create", "a channel");
    host = FileDescriptor(fds[0]);
    program = FileDescriptor(fds[1]);
    fcntl(host.get(), F_SETFL, O_NONBLOCK);
  }
  std::unique_ptr<Program> p(
      new Program(std::move(slot), task, std::move(host), std::move(released)));
  HONE_RETURN_IF_ERROR(p->GiveTask(task, program));
  return p;
}

Program::Program(Slot slot, const Task& task, FileDescriptor channel,
                 std::function<void(Slot, bool)> released)
    : slot_(std::move(slot)),
      limits_(task.limits),
      outputs_(task.outputs),
      channel_(std::move(channel)),
      released_(std::move(released)),
      start_(Now()) {
  if (limits_.processes > 1) tree_ = ParentOf(slot_.pid);
  cpu_start_ = UsageOf(slot_.pid).cpu_seconds;
}

Program::~Program() {
  if (!gone_) Kill(Ending::kCancelled);
  Finish().IgnoreError();
  released_(std::move(slot_), gone_);
}

absl::Status Program::GiveTask(const Task& task, const FileDescriptor& channel) {
  std::string blob;
  for (const std::string& a : task.argv) Append(blob, a);
  for (const File& f : task.files) {
    Append(blob, f.path);
    Append(blob, f.contents);
  }
  Append(blob, task.source);
  wire::Start start = StartOf(task, slot_, channel.valid());
  start.size = static_cast<int64_t>(blob.size());
  HONE_ASSIGN_OR_RETURN(const FileDescriptor strings, MemoryFile("task", blob));
  HONE_ASSIGN_OR_RETURN(const FileDescriptor input, MemoryFile("stdin", task.stdin_data));
  const int fds[3] = {strings.get(), input.get(), channel.get()};
  if (!SendMessage(slot_.task.get(), &start, sizeof(start), fds, channel.valid() ? 3 : 2))
    return absl::UnavailableError("a slot died before its task");
  return absl::OkStatus();
}

void Program::Drain(FileDescriptor& pipe, std::string& text) {
  char buffer[16384];
  while (pipe.valid()) {
    const ssize_t n = read(pipe.get(), buffer, sizeof(buffer));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) return pipe.Close();
    const int64_t room = limits_.output_bytes - static_cast<int64_t>(text.size());
    text.append(buffer, std::min<int64_t>(n, room));
    if (n > room) {
      Kill(Ending::kOutputLimit);
      return pipe.Close();
    }
  }
}

void Program::ReadTaskSocket() {
  wire::Ready failed = {};
  int count = 0;
  if (ReceiveMessage(slot_.task.get(), &failed, sizeof(failed), nullptr, &count) == sizeof(failed))
    failed_ = StepError(failed);
  slot_.task.Close();  // its end means that the program runs
}

void Program::ReadReport() {
  wire::Report report = {};
  const ssize_t n = read(slot_.report.get(), &report, sizeof(report));
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n != sizeof(report)) {
    if (failed_.ok()) failed_ = absl::UnavailableError("the forker of slots died");
    gone_ = true;
    return;
  }
  if (!ended_.has_value()) ended_ = report;
  if (report.gone == 0) return;
  gone_report_ = report;
  gone_ = true;
  if (slot_.request.supervised != 0 && ended_->gone != 0 && failed_.ok())
    failed_ = absl::UnavailableError("the supervisor of a program died");
}

Usage Program::Measure() const {
  Usage usage = tree_ != 0 ? UsageOfTree(tree_) : UsageOf(slot_.pid);
  usage.cpu_seconds -= cpu_start_;
  if (tree_ != 0 && slot_.cell->cgroup != nullptr)
    if (const double counted = slot_.cell->cgroup->CpuSeconds(); counted >= 0)
      usage.cpu_seconds = counted;
  return usage;
}

double Program::CpuSeconds() const {
  // What it left to the supervisor or to the kernel was waited for later.
  const int64_t ns = std::max(ended_->cpu_ns, gone_report_.cpu_ns);
  return std::max(0.0, static_cast<double>(ns) * 1e-9 - cpu_start_);
}

void Program::EnforceLimits(TimePoint now) {
  if (killed_.has_value() || gone_) {
    look_ = kNoDeadline;
    return;
  }
  if (now < look_) return;
  const TimePoint wall = start_ + Seconds(limits_.wall_seconds);
  if (now >= wall) return Kill(Ending::kWallLimit);
  const bool first = look_ == TimePoint();
  double left = limits_.cpu_seconds;
  if (!first) {
    const Usage usage = Measure();
    left -= usage.cpu_seconds;
    if (left <= 0) return Kill(Ending::kCpuLimit);
    // The kernel refuses most of what is too much; not memory that is shared, nor many processes.
    if (usage.resident_bytes > limits_.memory_bytes + kShared * std::max(1, usage.processes))
      return Kill(Ending::kMemoryLimit);
    if (slot_.cell->work.valid() && !HoldsAtMost(slot_.cell->work.get(), limits_.file_bytes))
      return Kill(Ending::kOutputLimit);
  }
  // It cannot use more CPU time than passes on all processors.
  static const double processors = std::max(1U, std::thread::hardware_concurrency());
  const Duration next =
      std::clamp<Duration>(Seconds(left / processors), std::chrono::milliseconds(1), kLook);
  look_ = std::min(wall, now + next);
}

short Program::Step(TimePoint until, short channel_events) {
  EnforceLimits(Now());
  pollfd polled[] = {{slot_.report.get(), POLLIN, 0},
                     {slot_.task.get(), POLLIN, 0},
                     {slot_.out.get(), POLLIN, 0},
                     {slot_.err.get(), POLLIN, 0},
                     {channel_events == 0 ? -1 : channel_.get(), channel_events, 0}};
  if (poll(polled, std::size(polled), MillisecondsUntil(std::min(until, look_))) <= 0) return 0;
  if (polled[1].revents != 0) ReadTaskSocket();
  if (polled[2].revents != 0) Drain(slot_.out, result_.stdout_data);
  if (polled[3].revents != 0) Drain(slot_.err, result_.stderr_data);
  if (polled[0].revents != 0) ReadReport();
  return polled[4].revents;
}

void Program::Kill(Ending why) {
  if (!killed_.has_value()) killed_ = why;
  look_ = kNoDeadline;
  if (slot_.cell->cgroup != nullptr) slot_.cell->cgroup->Kill();
  syscall(SYS_pidfd_send_signal, slot_.process.get(), SIGKILL, nullptr, 0);
}

absl::Status Program::Send(absl::string_view data, TimePoint deadline) {
  while (!data.empty()) {
    const ssize_t n = send(channel_.get(), data.data(), data.size(), MSG_NOSIGNAL);
    if (n > 0) {
      data.remove_prefix(n);
      continue;
    }
    if (n < 0 && errno != EAGAIN && errno != EINTR)
      return absl::UnavailableError("the program has closed its channel");
    if (gone_) return absl::UnavailableError("the program has ended");
    if (Now() >= deadline)
      return absl::DeadlineExceededError("the program does not read its channel");
    Step(deadline, POLLOUT);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> Program::Receive(size_t most, TimePoint deadline) {
  std::string data(std::min<size_t>(most, 65536), '\0');
  while (true) {
    const ssize_t n = recv(channel_.get(), data.data(), data.size(), 0);
    if (n >= 0) {
      data.resize(n);
      return data;
    }
    if (errno != EAGAIN && errno != EINTR) return std::string();
    if (gone_) return std::string();
    if (Now() >= deadline) return absl::DeadlineExceededError("the program does not answer");
    Step(deadline, POLLIN);
  }
}

absl::Status Program::Finish() {
  TimePoint give_up = kNoDeadline;
  while (!gone_) {
    if (killed_.has_value() && give_up == kNoDeadline) give_up = Now() + kDeathTime;
    if (Now() >= give_up) return absl::UnavailableError("a program does not die of SIGKILL");
    Step(give_up, 0);
  }
  Drain(slot_.out, result_.stdout_data);
  Drain(slot_.err, result_.stderr_data);
  return failed_;
}

Ending Program::HowItEnded() const {
  const int status = ended_->status;
  const int signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  if (killed_.has_value() && *killed_ != Ending::kCancelled) return *killed_;
  if (signal == SIGXCPU || CpuSeconds() >= limits_.cpu_seconds) return Ending::kCpuLimit;
  if (status != 0 && slot_.cell->cgroup != nullptr && slot_.cell->cgroup->RanOutOfMemory())
    return Ending::kMemoryLimit;
  // Where memory is refused and not taken back by a kill, the program says so itself, if it wants
  // to.
  if (status != 0 && (absl::StrContains(result_.stderr_data, "MemoryError") ||
                      absl::StrContains(result_.stderr_data, "std::bad_alloc")))
    return Ending::kMemoryLimit;
  if (signal == SIGKILL && killed_.has_value()) return *killed_;
  return signal != 0 ? Ending::kSignalled : Ending::kExited;
}

absl::StatusOr<Result> Program::Wait(TimePoint deadline) {
  channel_.Close();
  while (!gone_ && Now() < deadline) Step(deadline, 0);
  if (!gone_) Kill(Ending::kCancelled);
  HONE_RETURN_IF_ERROR(Finish());
  result_.cpu_seconds = CpuSeconds();
  result_.wall_seconds = std::chrono::duration<double>(Now() - start_).count();
  result_.peak_memory_bytes = ended_->peak_bytes;
  result_.ending = HowItEnded();
  if (result_.ending == Ending::kExited) result_.exit_code = WEXITSTATUS(ended_->status);
  if (result_.ending == Ending::kSignalled) result_.signal = WTERMSIG(ended_->status);
  int64_t room = limits_.file_bytes;
  for (const std::string& path : outputs_) {
    auto contents = ReadBeneath(slot_.work_folder(), path, room);
    if (absl::IsNotFound(contents.status()) || absl::IsResourceExhausted(contents.status()))
      continue;
    HONE_RETURN_IF_ERROR(contents.status());
    room -= static_cast<int64_t>(contents->size());
    result_.outputs.push_back({path, *std::move(contents)});
  }
  return std::move(result_);
}

}  // namespace hone::sandbox
