#pragma once

// Finding, opening and pruning the checkpoints that CheckpointWriter wrote.

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/checkpoint/manifest.h"
#include "libs/checkpoint/train_state.h"

namespace hone {

// `<dir>/step-<step>`
std::string CheckpointPath(const std::string& dir, int64_t step);

// A complete checkpoint. Thread-safety: const methods may run concurrently.
class Checkpoint {
 public:
  // Compares the folder with its manifest. NOT_FOUND without a manifest; DATA_LOSS naming the file
  // that is missing or changed.
  static absl::StatusOr<Checkpoint> Open(const std::string& path,
                                         Verify verify = Verify::kChecksums);

  const std::string& path() const { return path_; }
  int64_t step() const { return manifest_.step; }
  const std::map<std::string, std::string>& info() const { return manifest_.info; }
  const std::vector<FileRecord>& files() const { return manifest_.files; }
  // The folder for HfReader; whether it is there depends on the writer.
  std::string hf_path() const { return path_ + "/hf"; }
  // All train/state-*.safetensors, joined. NOT_FOUND when there are none.
  absl::StatusOr<StateReader> OpenState() const;

 private:
  Checkpoint(std::string path, Manifest manifest)
      : path_(std::move(path)), manifest_(std::move(manifest)) {}

  std::string path_;
  Manifest manifest_;
};

// Steps of the `step-<n>` folders in `dir`, ascending, complete or not. Temporary folders are not
// among them. Empty when `dir` does not exist.
absl::StatusOr<std::vector<int64_t>> ListCheckpoints(const std::string& dir);

// The newest complete checkpoint. Broken ones are skipped with a logged warning that names what is
// wrong. NOT_FOUND when there is none. kSizes is for folders too large to read twice: then a
// flipped byte is only found by whoever reads the file.
absl::StatusOr<Checkpoint> LatestCheckpoint(const std::string& dir,
                                            Verify verify = Verify::kChecksums);

// Keeps the newest `keep` >= 1 checkpoints with all files in their sizes, and removes the older
// ones (complete or not) and what crashed writers left. Folders newer than the newest complete one
// stay. A folder is renamed before it is emptied, so a half-removed one is never taken for a
// checkpoint. Returns the number of checkpoints removed.
absl::StatusOr<int> PruneCheckpoints(const std::string& dir, int keep);

}  // namespace hone
