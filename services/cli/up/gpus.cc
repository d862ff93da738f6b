#include "services/cli/up/gpus.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace hone::cli {
namespace {

// Entries of a folder, of which `wanted` says true.
template <typename Wanted>
int64_t CountEntries(const std::string& folder, const Wanted& wanted) {
  std::error_code error;
  std::filesystem::directory_iterator at(folder, error);
  return std::count_if(begin(at), end(at), [&](const std::filesystem::directory_entry& entry) {
    return wanted(entry.path().filename().string());
  });
}

}  // namespace

std::vector<std::string> VisibleGpus(const char* visible, const std::string& root) {
  std::vector<std::string> gpus;
  if (visible != nullptr) {
    for (absl::string_view entry : absl::StrSplit(visible, ',')) {
      entry = absl::StripAsciiWhitespace(entry);
      // As CUDA reads it: nothing counts from the first one on that names no device.
      if (entry.empty() || entry == "NoDevFiles" || absl::StartsWith(entry, "-")) break;
      gpus.emplace_back(entry);
    }
    return gpus;
  }
  // In a container /dev has those that it was given; on a machine it may be that nobody has made
  // them yet.
  int64_t count = CountEntries(absl::StrCat(root, "/dev"), [](absl::string_view name) {
    int number;
    return absl::ConsumePrefix(&name, "nvidia") && absl::SimpleAtoi(name, &number);
  });
  if (count == 0)
    count = CountEntries(absl::StrCat(root, "/proc/driver/nvidia/gpus"),
                         [](absl::string_view) { return true; });
  for (int64_t i = 0; i < count; ++i) gpus.push_back(absl::StrCat(i));
  return gpus;
}

void ShareGpus(const std::vector<std::string>& gpus, std::vector<ServicePlan>& plans) {
  if (gpus.size() < 2) return;
  size_t next = 0;
  for (ServicePlan& plan : plans)
    if (absl::StartsWith(plan.name, "learner-") || absl::StartsWith(plan.name, "rollout-"))
      plan.environment.push_back(absl::StrCat("CUDA_VISIBLE_DEVICES=", gpus[next++ % gpus.size()]));
}

}  // namespace hone::cli
