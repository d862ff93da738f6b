// hone up | down: all services on this machine.

#include <fcntl.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>

#include "CLI/CLI.hpp"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "libs/base/file.h"
#include "libs/base/shutdown.h"
#include "libs/base/status.h"
#include "services/cli/cli.h"
#include "services/cli/context.h"
#include "services/cli/up/gpus.h"
#include "services/cli/up/plan.h"
#include "services/cli/up/supervisor.h"

namespace hone::cli {
namespace {

struct Flags {
  UpOptions options;
  bool detach = false;
};

std::string PidFile(const std::string& dir) {
  return absl::StrCat(dir, "/up.pid");
}

// Held, and holding this process' id, for as long as the services of a folder run: the lock, not
// the number, says that they do.
absl::StatusOr<FileDescriptor> LockFolder(const std::string& dir) {
  HONE_RETURN_IF_ERROR(MakeDirectories(dir));
  const std::string path = PidFile(dir);
  FileDescriptor fd(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (!fd.valid()) return ErrnoStatus(errno, "cannot open", path);
  if (flock(fd.get(), LOCK_EX | LOCK_NB) != 0)
    return absl::AlreadyExistsError(absl::StrCat("`hone up` is running for ", dir,
                                                 " already; `hone down --dir ", dir, "` stops it"));
  const std::string pid = absl::StrCat(getpid(), "\n");
  if (ftruncate(fd.get(), 0) != 0 ||
      write(fd.get(), pid.data(), pid.size()) != static_cast<ssize_t>(pid.size()))
    return ErrnoStatus(errno, "cannot write", path);
  return fd;
}

absl::Status Serve(Context& context, const UpOptions& options, const std::function<void()>& ready) {
  ShutdownSignals signals;
  HONE_ASSIGN_OR_RETURN(const FileDescriptor lock, LockFolder(options.dir));
  HONE_ASSIGN_OR_RETURN(std::vector<ServicePlan> plans, PlanServices(options));
  const std::vector<std::string> gpus = VisibleGpus(std::getenv("CUDA_VISIBLE_DEVICES"));
  ShareGpus(gpus, plans);
  if (gpus.size() == 1 && plans.size() > 3)
    context.output.Note(
        absl::StrCat("one GPU, which the learner and all workers share",
                     options.colocate ? "" : ": with --colocate it holds their weights once"));
  Supervisor supervisor(std::move(plans), {}, signals, context.output);
  const TimePoint start = SystemClock::Get().Now();
  const absl::Status status = supervisor.Run([&] {
    Table table({"SERVICE", "PID", "GRPC", "METRICS", "LOG"});
    for (const Child& c : supervisor.children())
      table.Add({c.plan().name, absl::StrCat(c.pid()), c.plan().listen,
                 absl::StrCat("http://", c.plan().admin, "/metrics"), c.plan().log});
    table.Print(context.output);
    context.output.Note(absl::StrCat(
        "ready after ",
        Elapsed(std::chrono::duration<double>(SystemClock::Get().Now() - start).count())));
    ready();
  });
  context.output.Note("stopped");
  return status;
}

// Goes on in a process without a terminal; the one that was called waits until that is ready.
absl::StatusOr<int> ServeDetached(Context& context, const UpOptions& options) {
  int pipe_ends[2];
  if (pipe2(pipe_ends, O_CLOEXEC) != 0) return ErrnoStatus(errno, "cannot make", "a pipe");
  FileDescriptor from(pipe_ends[0]), to(pipe_ends[1]);
  const pid_t pid = fork();
  if (pid < 0) return ErrnoStatus(errno, "cannot start", "a background process");
  if (pid != 0) {
    to.Close();
    char answer = 0;
    if (read(from.get(), &answer, 1) == 1) {
      context.output.Note(absl::StrCat("`hone down --dir ", options.dir, "` stops it"));
      return kExitOk;
    }
    int status = 0;
    waitpid(pid, &status, 0);
    return WIFEXITED(status) && WEXITSTATUS(status) != 0 ? WEXITSTATUS(status) : kExitError;
  }
  setsid();
  from.Close();
  HONE_RETURN_IF_ERROR(Serve(context, options, [&] {
    const char answer = 1;
    [[maybe_unused]] const ssize_t written = write(to.get(), &answer, 1);
    to.Close();
    // From now on nobody reads what is said; the table has been printed.
    const FileDescriptor log(open(absl::StrCat(options.dir, "/logs/up.log").c_str(),
                                  O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
    const FileDescriptor nothing(open("/dev/null", O_RDONLY | O_CLOEXEC));
    dup2(nothing.get(), STDIN_FILENO);
    dup2(log.valid() ? log.get() : nothing.get(), STDOUT_FILENO);
    dup2(log.valid() ? log.get() : nothing.get(), STDERR_FILENO);
  }));
  return kExitOk;
}

absl::StatusOr<int> Up(Context& context, Flags flags) {
  flags.options.dir = std::filesystem::absolute(flags.options.dir).lexically_normal().string();
  if (flags.detach) return ServeDetached(context, flags.options);
  HONE_RETURN_IF_ERROR(
      Serve(context, flags.options, [&] { context.output.Note("Ctrl-C stops all of them"); }));
  return kExitOk;
}

absl::StatusOr<int> Down(Context& context, const std::string& folder) {
  const std::string dir = std::filesystem::absolute(folder).lexically_normal().string();
  const std::string path = PidFile(dir);
  const FileDescriptor fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return ErrnoStatus(errno, "nothing was started: cannot open", path);
  if (flock(fd.get(), LOCK_EX | LOCK_NB) == 0)
    return absl::NotFoundError(absl::StrCat("nothing runs for ", dir));
  HONE_ASSIGN_OR_RETURN(const std::string text, ReadFile(path, 64));
  int pid = 0;
  if (!absl::SimpleAtoi(text, &pid) || pid <= 1)
    return absl::DataLossError(absl::StrCat(path, " holds no process id"));
  if (kill(pid, SIGTERM) != 0) return ErrnoStatus(errno, "cannot stop process", text);
  const TimePoint give_up = SystemClock::Get().Now() + context.timeout + std::chrono::seconds(25);
  while (flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (SystemClock::Get().Now() > give_up)
      return absl::DeadlineExceededError(absl::StrCat("process ", pid, " does not stop"));
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  context.output.Note("stopped");
  return kExitOk;
}

}  // namespace

void AddUpCommands(CLI::App& app, Context& context) {
  const auto flags = std::make_shared<Flags>();
  CLI::App* up =
      AddCommand(app, context, "up",
                 "run all services on this machine; of several GPUs (or those in "
                 "CUDA_VISIBLE_DEVICES) the learner gets the first, each worker the next",
                 [flags](Context& c) { return Up(c, *flags); });
  UpOptions& o = flags->options;
  up->add_option("--dir", o.dir, "folder of the store and the logs; made if absent")
      ->capture_default_str();
  up->add_option("--rollouts", o.rollouts, "rollout workers")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  up->add_flag("--colocate", o.colocate,
               "the first worker is in the learner's process and shares its weights");
  up->add_option(
        "--threads", o.threads,
        "threads of the learner and each worker; 0: the learner uses all cores, workers share")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  up->add_option("--base-port", o.base_port,
                 "gRPC ports from here on: coordinator, rollout-0, reward, learner, rollout-1, ...")
      ->check(CLI::Range(1, 65000))
      ->capture_default_str();
  up->add_option("--admin-port", o.admin_port,
                 "ports of probes and metrics, in the same order; 0: 9101, or base port + 100 when "
                 "that is another than the default")
      ->check(CLI::Range(0, 65000))
      ->capture_default_str();
  up->add_option("--fsync", o.fsync, "on: what is acknowledged survives a crash of the machine")
      ->check(CLI::IsMember({"on", "off"}))
      ->capture_default_str();
  AddResourceOptions(*up, o.scorers);
  up->add_flag("--detach", flags->detach, "return when all are ready; `hone down` stops them");

  const auto dir = std::make_shared<std::string>(o.dir);
  AddCommand(app, context, "down", "stop what `hone up` started",
             [dir](Context& c) { return Down(c, *dir); })
      ->add_option("--dir", *dir, "the folder given to `hone up`")
      ->capture_default_str();
}

}  // namespace hone::cli
