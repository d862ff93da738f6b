#include "libs/checkpoint/checkpoint_writer.h"

#include <sys/stat.h>

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "libs/base/check.h"
#include "libs/base/file.h"
#include "libs/base/status.h"
#include "libs/checkpoint/checkpoint.h"
#include "libs/checkpoint/manifest.h"

namespace hone {
namespace {

constexpr int64_t kMaxListBytes = 100'000'000;

std::string ListFile(const std::string& temporary, int rank) {
  return absl::StrFormat("%s/.rank-%05d.json", temporary, rank);
}

}  // namespace

absl::StatusOr<std::unique_ptr<CheckpointWriter>> CheckpointWriter::Create(const std::string& dir,
                                                                           int64_t step, int rank,
                                                                           int world) {
  if (step < 0 || world < 1 || world > 100'000 || rank < 0 || rank >= world)
    return absl::InvalidArgumentError(
        absl::StrCat("checkpoint of step ", step, " by rank ", rank, " of ", world));
  const std::string path = CheckpointPath(dir, step);
  HONE_ASSIGN_OR_RETURN(
      std::unique_ptr<FolderWriter> folder,
      rank == 0 ? FolderWriter::Create(path, /*replace=*/true) : FolderWriter::Join(path));
  return std::unique_ptr<CheckpointWriter>(
      new CheckpointWriter(std::move(folder), step, rank, world));
}

std::string CheckpointWriter::StateFileName() const {
  return absl::StrFormat("train/state-%05d-of-%05d.safetensors", rank_ + 1, world_);
}

absl::Status CheckpointWriter::FinishRank() {
  HONE_CHECK(!finished_) << "rank " << rank_ << " has finished";
  const Manifest list{step_, {{"world", absl::StrCat(world_)}}, folder_->files()};
  HONE_RETURN_IF_ERROR(
      WriteFileAtomically(ListFile(folder_->temporary_path(), rank_), FormatManifest(list)));
  finished_ = true;
  return absl::OkStatus();
}

absl::Status CheckpointWriter::Commit(const std::map<std::string, std::string>& info) {
  HONE_CHECK(rank_ == 0) << "rank " << rank_ << " cannot commit";
  const std::string& temporary = folder_->temporary_path();
  Manifest manifest{step_, info, {}};
  std::set<std::string> paths;
  for (int rank = 0; rank < world_; ++rank) {
    const std::string list = ListFile(temporary, rank);
    absl::StatusOr<std::string> text = ReadFile(list, kMaxListBytes);
    if (absl::IsNotFound(text.status()))
      return absl::FailedPreconditionError(absl::StrCat(
          "rank ", rank, " of ", world_, " has not finished its part of ", folder_->path()));
    if (!text.ok()) return text.status();
    HONE_ASSIGN_OR_RETURN(Manifest part, ParseManifest(*text, list));
    if (part.step != step_ || part.info["world"] != absl::StrCat(world_))
      return absl::FailedPreconditionError(
          absl::StrCat(list, " is of step ", part.step, " and ", part.info["world"],
                       " ranks, expected step ", step_, " and ", world_));
    for (FileRecord& file : part.files) {
      struct stat st;
      const std::string full = absl::StrCat(temporary, "/", file.path);
      if (stat(full.c_str(), &st) != 0 || st.st_size != file.bytes)
        return absl::DataLossError(
            absl::StrCat(full, " of rank ", rank, " is missing or has not ", file.bytes, " bytes"));
      if (!paths.insert(file.path).second)
        return absl::FailedPreconditionError(absl::StrCat(full, " is claimed by two ranks"));
      manifest.files.push_back(std::move(file));
    }
  }
  for (int rank = 0; rank < world_; ++rank)
    HONE_RETURN_IF_ERROR(RemoveFile(ListFile(temporary, rank)));
  std::sort(manifest.files.begin(), manifest.files.end(),
            [](const FileRecord& a, const FileRecord& b) { return a.path < b.path; });
  HONE_RETURN_IF_ERROR(folder_->AddFile(kManifestFile, FormatManifest(manifest)));
  return folder_->Commit();
}

}  // namespace hone
