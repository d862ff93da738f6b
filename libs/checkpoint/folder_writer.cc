#include "libs/checkpoint/folder_writer.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "libs/base/check.h"
#include "libs/base/log.h"
#include "libs/base/status.h"

namespace hone {
namespace {

namespace fs = std::filesystem;

// Without a trailing slash, so that the last name is never empty.
std::string Trimmed(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

bool Exists(const std::string& path) {
  struct stat st;
  return lstat(path.c_str(), &st) == 0;
}

absl::Status RemoveTree(const std::string& path) {
  std::error_code error;
  fs::remove_all(path, error);
  if (error) return ErrnoStatus(error.value(), "cannot remove", path);
  return absl::OkStatus();
}

// Locks a folder against a second writer. False: another process holds it. File systems without
// locks give the protection up.
absl::StatusOr<bool> Lock(const std::string& path, FileDescriptor& lock) {
  FileDescriptor fd(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return ErrnoStatus(errno, "cannot open", path);
  if (flock(fd.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) return false;
  lock = std::move(fd);
  return true;
}

absl::Status CheckRelative(const std::string& relative) {
  for (absl::string_view name : absl::StrSplit(relative, '/'))
    if (name.empty() || name == "." || name == ".." || name.size() > 255 ||
        name.find('\0') != absl::string_view::npos)
      return absl::InvalidArgumentError(
          absl::StrCat("'", relative, "' is not a relative path of plain names"));
  return absl::OkStatus();
}

// Names every folder of a tree, so that the files' entries in them are durable.
absl::Status SyncTree(const std::string& path) {
  std::error_code error;
  for (fs::recursive_directory_iterator it(path, error), end; !error && it != end;
       it.increment(error))
    if (it->is_directory(error)) HONE_RETURN_IF_ERROR(SyncDirectory(it->path().string()));
  if (error) return ErrnoStatus(error.value(), "cannot list", path);
  return SyncDirectory(path);
}

}  // namespace

std::string TemporaryFolderOf(const std::string& path) {
  const std::string trimmed = Trimmed(path);
  return absl::StrCat(DirectoryOf(trimmed), "/.", fs::path(trimmed).filename().string(), ".tmp");
}

absl::Status RemoveStaleFolder(const std::string& temporary) {
  FileDescriptor lock;
  HONE_ASSIGN_OR_RETURN(const bool mine, Lock(temporary, lock));
  return mine ? RemoveTree(temporary) : absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<FolderWriter>> FolderWriter::Create(const std::string& path_in,
                                                                   bool replace) {
  const std::string path = Trimmed(path_in);
  if (!replace && Exists(path)) return absl::AlreadyExistsError(absl::StrCat(path, " exists"));
  HONE_RETURN_IF_ERROR(MakeDirectories(DirectoryOf(path)));
  const std::string temporary = TemporaryFolderOf(path);
  const auto busy = [&] {
    return absl::FailedPreconditionError(absl::StrCat("another process is writing ", path));
  };
  if (Exists(temporary)) {
    FileDescriptor old;
    HONE_ASSIGN_OR_RETURN(const bool mine, Lock(temporary, old));
    if (!mine) return busy();
    Log(LogLevel::kWarning, "clearing what an earlier writer left", {{"folder", temporary}});
    HONE_RETURN_IF_ERROR(RemoveTree(temporary));
  }
  if (mkdir(temporary.c_str(), 0755) != 0)
    return ErrnoStatus(errno, "cannot make directory", temporary);
  FileDescriptor fresh;
  HONE_ASSIGN_OR_RETURN(const bool mine, Lock(temporary, fresh));
  if (!mine) return busy();
  std::unique_ptr<FolderWriter> writer(new FolderWriter(path, temporary, true, replace));
  writer->lock_ = std::move(fresh);
  return writer;
}

absl::StatusOr<std::unique_ptr<FolderWriter>> FolderWriter::Join(const std::string& path_in) {
  const std::string path = Trimmed(path_in);
  const std::string temporary = TemporaryFolderOf(path);
  if (!Exists(temporary))
    return absl::NotFoundError(
        absl::StrCat("nobody is writing ", path, ": ", temporary, " does not exist"));
  return std::unique_ptr<FolderWriter>(new FolderWriter(path, temporary, false, false));
}

FolderWriter::~FolderWriter() {
  if (!owner_ || committed_) return;
  if (absl::Status s = RemoveTree(temporary_); !s.ok())
    Log(LogLevel::kWarning, "left behind", {{"folder", temporary_}, {"error", s.ToString()}});
}

absl::StatusOr<OutputFile> FolderWriter::Begin(const std::string& relative,
                                               int64_t expected_bytes) {
  HONE_CHECK(!committed_) << path_ << " is committed";
  HONE_RETURN_IF_ERROR(CheckRelative(relative));
  const std::string full = absl::StrCat(temporary_, "/", relative);
  HONE_RETURN_IF_ERROR(MakeDirectories(DirectoryOf(full)));
  return OutputFile::Create(full, expected_bytes);
}

absl::Status FolderWriter::End(const std::string& relative, OutputFile file) {
  HONE_ASSIGN_OR_RETURN(FileRecord record, file.Finish());
  record.path = relative;
  files_.push_back(std::move(record));
  return absl::OkStatus();
}

absl::Status FolderWriter::AddFile(const std::string& relative, absl::string_view contents) {
  HONE_ASSIGN_OR_RETURN(OutputFile file, Begin(relative, static_cast<int64_t>(contents.size())));
  HONE_RETURN_IF_ERROR(file.WriteAt(0, contents.data(), contents.size()));
  return End(relative, std::move(file));
}

absl::Status FolderWriter::CopyFile(const std::string& relative, const std::string& from) {
  FileDescriptor fd(open(from.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd.valid()) return ErrnoStatus(errno, "cannot open", from);
  struct stat st;
  if (fstat(fd.get(), &st) != 0) return ErrnoStatus(errno, "cannot stat", from);
  if (!S_ISREG(st.st_mode))
    return absl::InvalidArgumentError(absl::StrCat(from, " is not a regular file"));
  HONE_ASSIGN_OR_RETURN(OutputFile file, Begin(relative, 0));
  std::vector<char> buffer(size_t{1} << 20);
  int64_t done = 0;
  while (true) {
    const ssize_t n = read(fd.get(), buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoStatus(errno, "cannot read", from);
    if (n == 0) break;
    HONE_RETURN_IF_ERROR(file.WriteAt(done, buffer.data(), static_cast<size_t>(n)));
    done += n;
  }
  return End(relative, std::move(file));
}

absl::Status FolderWriter::Commit() {
  HONE_CHECK(owner_ && !committed_) << path_ << " is not this writer's to commit";
  HONE_RETURN_IF_ERROR(SyncTree(temporary_));
  bool swapped = false;
  if (renameat2(AT_FDCWD, temporary_.c_str(), AT_FDCWD, path_.c_str(), RENAME_NOREPLACE) != 0) {
    if (errno == EEXIST && replace_) {
      // One step: at no moment is the path without a complete folder.
      if (renameat2(AT_FDCWD, temporary_.c_str(), AT_FDCWD, path_.c_str(), RENAME_EXCHANGE) == 0) {
        swapped = true;
      } else if (errno != EINVAL) {
        return ErrnoStatus(errno, absl::StrCat("cannot exchange ", temporary_, " with"), path_);
      }
    } else if (errno != EINVAL) {
      return ErrnoStatus(errno, absl::StrCat("cannot rename ", temporary_, " to"), path_);
    }
    if (!swapped) {
      // A file system without these two operations (NFS): clear the old folder away, then rename. A
      // crash in between leaves neither, and older checkpoints serve.
      if (Exists(path_)) {
        if (!replace_) return absl::AlreadyExistsError(absl::StrCat(path_, " exists"));
        HONE_RETURN_IF_ERROR(RemoveTree(path_));
      }
      if (std::rename(temporary_.c_str(), path_.c_str()) != 0)
        return ErrnoStatus(errno, absl::StrCat("cannot rename ", temporary_, " to"), path_);
    }
  }
  committed_ = true;
  HONE_RETURN_IF_ERROR(SyncDirectory(DirectoryOf(path_)));
  if (swapped) {
    // The new folder is in place; remains of the old one are litter, not an error.
    if (absl::Status s = RemoveTree(temporary_); !s.ok())
      Log(LogLevel::kWarning, "left behind", {{"folder", temporary_}, {"error", s.ToString()}});
  }
  return absl::OkStatus();
}

}  // namespace hone
