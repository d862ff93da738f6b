#include "services/cli/up/plan.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <thread>

#include "absl/strings/str_cat.h"
#include "libs/base/file.h"
#include "libs/base/status.h"
#include "services/cli/http.h"

namespace hone::cli {
namespace {

absl::StatusOr<std::string> FindProgram(const std::string& service) {
  std::error_code error;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return absl::InternalError(absl::StrCat("/proc/self/exe: ", error.message()));
  const std::filesystem::path folder = self.parent_path();
  const std::string name = "hone-" + service;
  // Beside this program, or in a bundle (deploy/bundle), where this process is the loader in lib/.
  for (const auto& path : {folder / name, folder.parent_path() / "bin" / name})
    if (access(path.c_str(), X_OK) == 0) return path.string();
  return absl::NotFoundError(absl::StrCat("the program ", name, " is not in ", folder.string()));
}

}  // namespace

int AdminPortOf(int base_port) {
  constexpr int kDefaultBasePort = 50051;
  constexpr int kDefaultAdminPort = 9101;
  return base_port == kDefaultBasePort ? kDefaultAdminPort : base_port + 100;
}

absl::StatusOr<std::vector<ServicePlan>> PlanServices(const UpOptions& options) {
  const std::string dir = std::filesystem::absolute(options.dir).lexically_normal().string();
  HONE_RETURN_IF_ERROR(MakeDirectories(absl::StrCat(dir, "/logs")));
  const int admin_port =
      options.admin_port > 0 ? options.admin_port : AdminPortOf(options.base_port);
  const int cores = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  const int threads = options.threads > 0 ? options.threads : cores;
  // The place of a service in both ranges of ports.
  const auto place = [&](const std::string& service, const std::string& name,
                         int offset) -> absl::StatusOr<ServicePlan> {
    ServicePlan plan;
    plan.name = name;
    HONE_ASSIGN_OR_RETURN(plan.binary, FindProgram(service));
    plan.listen = absl::StrCat("127.0.0.1:", options.base_port + offset);
    plan.admin = absl::StrCat("127.0.0.1:", admin_port + offset);
    plan.log = absl::StrCat(dir, "/logs/", name, ".log");
    plan.arguments = {"--listen", plan.listen, "--admin", plan.admin};
    return plan;
  };
  const auto add = [](ServicePlan& plan, std::initializer_list<std::string> arguments) {
    plan.arguments.insert(plan.arguments.end(), arguments);
  };

  std::vector<ServicePlan> plans;
  HONE_ASSIGN_OR_RETURN(ServicePlan coordinator, place("coordinator", "coordinator", 0));
  add(coordinator, {"--data", absl::StrCat(dir, "/coordinator"), "--fsync", options.fsync});
  HONE_ASSIGN_OR_RETURN(ServicePlan reward, place("reward", "reward", 2));
  add(reward,
      {"--threads", absl::StrCat(std::min(threads, 4) + 3), "--sandbox", options.scorers.sandbox,
       "--sandbox-slots", absl::StrCat(options.scorers.sandbox_slots)});
  if (!options.scorers.verifiers.empty())
    add(reward, {"--verifiers", std::filesystem::absolute(options.scorers.verifiers).string()});
  HONE_ASSIGN_OR_RETURN(ServicePlan learner, place("learner", "learner-0", 3));
  add(learner, {"--coordinator", coordinator.listen, "--id", "learner-0", "--threads",
                absl::StrCat(threads)});
  if (options.colocate) add(learner, {"--colocate", "--reward", reward.listen});
  plans.push_back(coordinator);
  plans.push_back(reward);
  plans.push_back(learner);
  for (int i = options.colocate ? 1 : 0; i < options.rollouts; ++i) {
    const std::string name = absl::StrCat("rollout-", i);
    HONE_ASSIGN_OR_RETURN(ServicePlan rollout, place("rollout", name, i == 0 ? 1 : 3 + i));
    // Several workers share the cores unless they were told otherwise.
    const int share = options.threads > 0 ? threads : std::max(1, threads / options.rollouts);
    add(rollout, {"--coordinator", coordinator.listen, "--reward", reward.listen, "--id", name,
                  "--threads", absl::StrCat(share)});
    plans.push_back(std::move(rollout));
  }
  for (const ServicePlan& plan : plans)
    for (const std::string& address : {plan.listen, plan.admin})
      if (const absl::Status free = CheckPortFree(address); !free.ok())
        return absl::AlreadyExistsError(
            absl::StrCat(free.message(), " for ", plan.name,
                         ": stop what uses it, or choose others with --base-port"));
  return plans;
}

}  // namespace hone::cli
