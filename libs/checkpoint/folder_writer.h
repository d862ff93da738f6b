#pragma once

// A folder that appears whole or not at all. Files are written into `<parent>/.<name>.tmp`, synced,
// and Commit renames the folder into place. Destruction without Commit removes the temporary
// folder; after a crash it stays, nobody reads it, and the next writer of the same path clears it
// away.
//
//   HONE_ASSIGN_OR_RETURN(auto folder, FolderWriter::Create("/ckpt/export"));
//   HONE_RETURN_IF_ERROR(folder->AddFile("config.json", text));
//   HONE_RETURN_IF_ERROR(folder->Commit());

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/base/file.h"
#include "libs/checkpoint/output_file.h"

namespace hone {

// One thread at a time.
class FolderWriter {
 public:
  // Makes the missing parents and the temporary folder. ALREADY_EXISTS when `path` is there and
  // `replace` is false; FAILED_PRECONDITION while another process writes the same path.
  static absl::StatusOr<std::unique_ptr<FolderWriter>> Create(const std::string& path,
                                                              bool replace = false);
  // A further process (a rank) that adds files to the folder which another one created and will
  // commit. NOT_FOUND when there is none. Its destruction removes nothing.
  static absl::StatusOr<std::unique_ptr<FolderWriter>> Join(const std::string& path);
  ~FolderWriter();
  FolderWriter(const FolderWriter&) = delete;
  FolderWriter& operator=(const FolderWriter&) = delete;

  const std::string& path() const { return path_; }
  const std::string& temporary_path() const { return temporary_; }
  // Those that this writer has finished, in that order.
  const std::vector<FileRecord>& files() const { return files_; }

  // Begins a file. `relative` has '/' between plain names; missing subfolders are made.
  // INVALID_ARGUMENT for a name that leaves the folder, ALREADY_EXISTS for one taken.
  absl::StatusOr<OutputFile> Begin(const std::string& relative, int64_t expected_bytes);
  // Finishes the file that Begin(relative) returned.
  absl::Status End(const std::string& relative, OutputFile file);
  // Both in one.
  absl::Status AddFile(const std::string& relative, absl::string_view contents);
  // Copies a regular file byte for byte.
  absl::Status CopyFile(const std::string& relative, const std::string& from);

  // Syncs the folders and renames; only for the writer that created. Once, and last.
  absl::Status Commit();

 private:
  FolderWriter(std::string path, std::string temporary, bool owner, bool replace)
      : path_(std::move(path)),
        temporary_(std::move(temporary)),
        owner_(owner),
        replace_(replace) {}

  const std::string path_;
  const std::string temporary_;
  const bool owner_;
  const bool replace_;
  bool committed_ = false;
  FileDescriptor lock_;  // on the temporary folder, held by its creator
  std::vector<FileRecord> files_;
};

// `<parent>/.<name>.tmp`
std::string TemporaryFolderOf(const std::string& path);
// Removes a temporary folder that no process is writing; OK (and nothing removed) while one is.
absl::Status RemoveStaleFolder(const std::string& temporary);

}  // namespace hone
