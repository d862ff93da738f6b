#pragma once

// Writes `<dir>/step-<n>/`:
//   hf/            the model, loadable by anything that reads Hugging Face folders (HfWriter)
//   train/         state-00001-of-00002.safetensors, one or more files of each rank
//   (CreateStateFile) manifest.json  sizes and checksums of all of it, written last
// A whole folder appears at once; a crash or a full disk leaves the earlier checkpoints as they
// were.
//
// With several ranks on one file system:
//   rank 0:  Create(dir, step, 0, world)        then a barrier, so that no rank joins too early
//   others:  Create(dir, step, rank, world)
//   all:     write files, FinishRank()          then a barrier
//   rank 0:  Commit(info)

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/checkpoint/folder_writer.h"

namespace hone {

// One thread at a time. Destruction of rank 0's writer without Commit removes what was written.
class CheckpointWriter {
 public:
  // step >= 0; 0 <= rank < world <= 100000. A checkpoint of the same step is replaced at Commit.
  // INVALID_ARGUMENT; errors of FolderWriter.
  static absl::StatusOr<std::unique_ptr<CheckpointWriter>> Create(const std::string& dir,
                                                                  int64_t step, int rank = 0,
                                                                  int world = 1);

  // Where this rank's files go.
  FolderWriter& folder() { return *folder_; }
  // "train/state-00001-of-00004.safetensors"
  std::string StateFileName() const;

  // Leaves this rank's list of files for rank 0. Once, after the last file.
  absl::Status FinishRank();
  // Rank 0 only: joins the lists, writes the manifest and renames. `info` is kept in the manifest.
  // FAILED_PRECONDITION naming a rank that has not finished.
  absl::Status Commit(const std::map<std::string, std::string>& info);

 private:
  CheckpointWriter(std::unique_ptr<FolderWriter> folder, int64_t step, int rank, int world)
      : folder_(std::move(folder)), step_(step), rank_(rank), world_(world) {}

  std::unique_ptr<FolderWriter> folder_;
  int64_t step_;
  int rank_;
  int world_;
  bool finished_ = false;
};

}  // namespace hone
