#include "libs/checkpoint/checkpoint.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "libs/base/file.h"
#include "libs/base/log.h"
#include "libs/base/status.h"
#include "libs/checkpoint/folder_writer.h"

namespace hone {
namespace {

namespace fs = std::filesystem;

constexpr char kPrefix[] = "step-";
constexpr char kDoomedSuffix[] = ".del";

// The step of "step-<n>", -1 for any other name. "step-007" is another name: one step, one folder.
int64_t StepOf(absl::string_view name) {
  int64_t step;
  const std::string all(name);
  if (!absl::ConsumePrefix(&name, kPrefix) || !absl::SimpleAtoi(name, &step) || step < 0 ||
      absl::StrCat(kPrefix, step) != all)
    return -1;
  return step;
}

absl::StatusOr<std::vector<std::string>> Names(const std::string& dir) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator it(dir, error), end; !error && it != end; it.increment(error))
    names.push_back(it->path().filename().string());
  if (error && error != std::errc::no_such_file_or_directory)
    return ErrnoStatus(error.value(), "cannot list", dir);
  return names;
}

absl::Status RemoveTree(const std::string& path) {
  std::error_code error;
  fs::remove_all(path, error);
  if (error) return ErrnoStatus(error.value(), "cannot remove", path);
  return absl::OkStatus();
}

}  // namespace

std::string CheckpointPath(const std::string& dir, int64_t step) {
  return absl::StrCat(dir, "/", kPrefix, step);
}

absl::StatusOr<Checkpoint> Checkpoint::Open(const std::string& path, Verify verify) {
  HONE_ASSIGN_OR_RETURN(Manifest manifest, VerifyFolder(path, verify));
  const int64_t step = StepOf(fs::path(path).filename().string());
  if (step >= 0 && step != manifest.step)
    return absl::DataLossError(absl::StrCat(path, " has the manifest of step ", manifest.step,
                                            ": the folder was renamed"));
  return Checkpoint(path, std::move(manifest));
}

absl::StatusOr<StateReader> Checkpoint::OpenState() const {
  std::vector<std::string> paths;
  for (const FileRecord& file : manifest_.files)
    if (absl::StartsWith(file.path, "train/state-") && absl::EndsWith(file.path, ".safetensors"))
      paths.push_back(absl::StrCat(path_, "/", file.path));
  if (paths.empty())
    return absl::NotFoundError(absl::StrCat(path_, " has no train/state-*.safetensors"));
  return StateReader::Open(paths);
}

absl::StatusOr<std::vector<int64_t>> ListCheckpoints(const std::string& dir) {
  HONE_ASSIGN_OR_RETURN(const std::vector<std::string> names, Names(dir));
  std::vector<int64_t> steps;
  for (const std::string& name : names)
    if (const int64_t step = StepOf(name); step >= 0) steps.push_back(step);
  std::sort(steps.begin(), steps.end());
  return steps;
}

absl::StatusOr<Checkpoint> LatestCheckpoint(const std::string& dir, Verify verify) {
  HONE_ASSIGN_OR_RETURN(const std::vector<int64_t> steps, ListCheckpoints(dir));
  for (auto step = steps.rbegin(); step != steps.rend(); ++step) {
    absl::StatusOr<Checkpoint> found = Checkpoint::Open(CheckpointPath(dir, *step), verify);
    if (found.ok()) return found;
    Log(LogLevel::kWarning, "checkpoint skipped",
        {{"folder", CheckpointPath(dir, *step)}, {"error", found.status().ToString()}});
  }
  return absl::NotFoundError(absl::StrCat(dir, " has no complete checkpoint among ", steps.size()));
}

absl::StatusOr<int> PruneCheckpoints(const std::string& dir, int keep) {
  if (keep < 1)
    return absl::InvalidArgumentError(absl::StrCat("keep is ", keep, ", expected at least 1"));
  HONE_ASSIGN_OR_RETURN(const std::vector<std::string> names, Names(dir));
  for (const std::string& name : names) {
    if (!absl::StartsWith(name, absl::StrCat(".", kPrefix))) continue;
    const std::string path = absl::StrCat(dir, "/", name);
    if (absl::EndsWith(name, kDoomedSuffix)) HONE_RETURN_IF_ERROR(RemoveTree(path));
    if (absl::EndsWith(name, ".tmp")) HONE_RETURN_IF_ERROR(RemoveStaleFolder(path));
  }
  HONE_ASSIGN_OR_RETURN(std::vector<int64_t> steps, ListCheckpoints(dir));
  std::reverse(steps.begin(), steps.end());
  int complete = 0, removed = 0;
  for (const int64_t step : steps) {
    const std::string path = CheckpointPath(dir, step);
    if (complete < keep) {
      const absl::Status status = Checkpoint::Open(path, Verify::kSizes).status();
      complete += status.ok();
      // Incomplete, and nothing complete is newer: somebody may want to look at it.
      if (status.ok() || complete == 0) continue;
      if (!absl::IsNotFound(status) && !absl::IsDataLoss(status)) return status;
    }
    const std::string doomed = absl::StrCat(dir, "/.", kPrefix, step, kDoomedSuffix);
    HONE_RETURN_IF_ERROR(RemoveTree(doomed));
    if (std::rename(path.c_str(), doomed.c_str()) != 0)
      return ErrnoStatus(errno, absl::StrCat("cannot rename ", path, " to"), doomed);
    HONE_RETURN_IF_ERROR(RemoveTree(doomed));
    ++removed;
  }
  return removed;
}

}  // namespace hone
