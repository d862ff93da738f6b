#include "services/cli/up/gpus.h"

#include <cstdlib>
#include <fstream>
#include <string>
#include <thread>

#include "libs/base/file.h"
#include "tests/testing/test.h"

namespace hone::cli {
namespace {

using Gpus = std::vector<std::string>;

TEST_CASE("GPUs are counted by the driver's files, or are those that the user lets be seen",
          "[cli]") {
  testing::TempDir root;
  CHECK(VisibleGpus(nullptr, root.path()).empty());
  for (const char* bus : {"0000:18:00.0", "0000:2a:00.0", "0000:3a:00.0"})
    REQUIRE_OK(MakeDirectories(root.path() + "/proc/driver/nvidia/gpus/" + bus));
  CHECK(VisibleGpus(nullptr, root.path()) == Gpus{"0", "1", "2"});
  // A container with two of them.
  REQUIRE_OK(MakeDirectories(root.path() + "/dev"));
  for (const char* name : {"nvidia2", "nvidia7", "nvidiactl", "nvidia-uvm", "null"})
    std::ofstream(root.path() + "/dev/" + name) << "";
  CHECK(VisibleGpus(nullptr, root.path()) == Gpus{"0", "1"});

  CHECK(VisibleGpus("3, GPU-8932f937", root.path()) == Gpus{"3", "GPU-8932f937"});
  CHECK(VisibleGpus("1,-1,2", root.path()) == Gpus{"1"});
  CHECK(VisibleGpus("", root.path()).empty());
  CHECK(VisibleGpus("NoDevFiles", root.path()).empty());
}

TEST_CASE("the learner gets the first GPU and each worker the next, in turn", "[cli]") {
  const auto share = [](const Gpus& gpus, const std::vector<std::string>& names) {
    std::vector<ServicePlan> plans;
    for (const std::string& name : names) plans.emplace_back().name = name;
    ShareGpus(gpus, plans);
    std::vector<std::string> got;
    for (const ServicePlan& plan : plans)
      got.push_back(plan.environment.empty() ? "" : plan.environment.at(0));
    return got;
  };
  const std::string v = "CUDA_VISIBLE_DEVICES=";
  CHECK(share({"0", "1", "2"}, {"coordinator", "reward", "learner-0", "rollout-0", "rollout-1",
                                "rollout-2"}) == Gpus{"", "", v + "0", v + "1", v + "2", v + "0"});
  // The first worker is in the learner's process.
  CHECK(share({"5", "7"}, {"coordinator", "reward", "learner-0", "rollout-1"}) ==
        Gpus{"", "", v + "5", v + "7"});
  for (const Gpus& few : {Gpus{}, Gpus{"0"}})
    CHECK(share(few, {"learner-0", "rollout-0"}) == Gpus{"", ""});
}

TEST_CASE("a child has its own value of a variable that its parent has", "[cli]") {
  testing::TempDir dir;
  REQUIRE(setenv("HONE_TEST_GPU", "all", 1) == 0);
  REQUIRE(setenv("HONE_TEST_OTHER", "kept", 1) == 0);
  ServicePlan plan;
  plan.name = "shell";
  plan.binary = "/bin/sh";
  plan.arguments = {"-c", "echo $HONE_TEST_GPU $HONE_TEST_OTHER; env | grep -c HONE_TEST_GPU="};
  plan.environment = {"HONE_TEST_GPU=3"};
  plan.log = dir.path() + "/log";
  Child child(plan);
  REQUIRE_OK(child.Start());
  while (!child.Reap()) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  CHECK(ReadFile(plan.log, 1000).value() == "3 kept\n1\n");
}

}  // namespace
}  // namespace hone::cli
