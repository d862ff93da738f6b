#include "libs/base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <limits>
#include <random>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "libs/base/check.h"
#include "libs/base/status.h"

namespace hone {
namespace {

absl::StatusOr<FileDescriptor> Open(const std::string& path, int flags, int mode = 0) {
  int fd;
  do {
    fd = ::open(path.c_str(), flags | O_CLOEXEC, mode);
  } while (fd < 0 && errno == EINTR);
  if (fd < 0) return ErrnoStatus(errno, "cannot open", path);
  return FileDescriptor(fd);
}

}  // namespace

absl::Status ErrnoStatus(int error, absl::string_view action, absl::string_view path) {
  return absl::ErrnoToStatus(error, absl::StrCat(action, " ", path));
}

void FileDescriptor::Close() {
  // Not repeated on EINTR: Linux has closed it by then.
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

absl::StatusOr<std::string> ReadFile(const std::string& path, int64_t max_bytes) {
  HONE_CHECK(max_bytes >= 0 && max_bytes < std::numeric_limits<int64_t>::max()) << path;
  HONE_ASSIGN_OR_RETURN(FileDescriptor fd, Open(path, O_RDONLY));
  struct stat info;
  if (::fstat(fd.get(), &info) != 0) return ErrnoStatus(errno, "cannot stat", path);
  if (S_ISDIR(info.st_mode))
    return absl::InvalidArgumentError(absl::StrCat("cannot read ", path, ": it is a directory"));
  const auto too_large = [&](int64_t bytes) {
    return absl::ResourceExhaustedError(absl::StrCat("cannot read ", path, ": it holds ", bytes,
                                                     " bytes or more, at most ", max_bytes,
                                                     " are accepted"));
  };
  if (info.st_size > max_bytes) return too_large(info.st_size);

  // One byte more than the size, so that the read which finds the end needs no growing.
  std::string data(
      static_cast<size_t>(std::min<int64_t>(std::max<int64_t>(info.st_size, 4095), max_bytes)) + 1,
      '\0');
  size_t used = 0;
  while (true) {
    const ssize_t n = ::read(fd.get(), data.data() + used, data.size() - used);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoStatus(errno, "cannot read", path);
    if (n == 0) break;
    used += static_cast<size_t>(n);
    if (static_cast<int64_t>(used) > max_bytes) return too_large(static_cast<int64_t>(used));
    if (used == data.size())
      data.resize(std::min(2 * data.size(), static_cast<size_t>(max_bytes) + 1));
  }
  data.resize(used);
  return data;
}

AtomicFile::AtomicFile(std::string path, std::string temporary, FileDescriptor fd)
    : path_(std::move(path)), temporary_(std::move(temporary)), fd_(std::move(fd)) {}
AtomicFile::AtomicFile(AtomicFile&& other) noexcept
    : path_(std::move(other.path_)),
      temporary_(std::exchange(other.temporary_, {})),
      fd_(std::move(other.fd_)) {}
AtomicFile::~AtomicFile() {
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

absl::StatusOr<AtomicFile> AtomicFile::Create(const std::string& path, int mode) {
  // A random name, so that two writers of one file each rename a whole file of their own.
  std::random_device device;
  for (int attempt = 0;; ++attempt) {
    std::string temporary = absl::StrFormat("%s.tmp.%08x", path, device());
    absl::StatusOr<FileDescriptor> fd = Open(temporary, O_WRONLY | O_CREAT | O_EXCL, mode);
    if (fd.ok()) return AtomicFile(path, std::move(temporary), *std::move(fd));
    if (!absl::IsAlreadyExists(fd.status()) || attempt == 8) return fd.status();
  }
}

absl::Status AtomicFile::Append(absl::string_view data) {
  HONE_CHECK(fd_.valid()) << path_ << " was committed already";
  while (!data.empty()) {
    const ssize_t n = ::write(fd_.get(), data.data(), data.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoStatus(errno, "cannot write", temporary_);
    data.remove_prefix(static_cast<size_t>(n));
  }
  return absl::OkStatus();
}

absl::Status AtomicFile::Commit() {
  HONE_CHECK(fd_.valid()) << path_ << " was committed already";
  if (::fsync(fd_.get()) != 0) return ErrnoStatus(errno, "cannot sync", temporary_);
  // Network file systems may report the failed write only here.
  if (::close(fd_.release()) != 0 && errno != EINTR)
    return ErrnoStatus(errno, "cannot close", temporary_);
  if (::rename(temporary_.c_str(), path_.c_str()) != 0)
    return ErrnoStatus(errno, absl::StrCat("cannot rename ", temporary_, " to"), path_);
  temporary_.clear();
  return SyncDirectory(DirectoryOf(path_));
}

absl::Status WriteFileAtomically(const std::string& path, absl::string_view data, int mode) {
  HONE_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::Create(path, mode));
  HONE_RETURN_IF_ERROR(file.Append(data));
  return file.Commit();
}

absl::Status SyncDirectory(const std::string& directory) {
  HONE_ASSIGN_OR_RETURN(FileDescriptor fd, Open(directory, O_RDONLY | O_DIRECTORY));
  // EINVAL: a file system that has nothing to sync for directories.
  if (::fsync(fd.get()) != 0 && errno != EINVAL)
    return ErrnoStatus(errno, "cannot sync directory", directory);
  return absl::OkStatus();
}

absl::Status MakeDirectories(const std::string& directory) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) return ErrnoStatus(error.value(), "cannot make directory", directory);
  if (!std::filesystem::is_directory(directory, error))
    return ErrnoStatus(ENOTDIR, "cannot make directory", directory);
  return absl::OkStatus();
}

absl::Status RemoveFile(const std::string& path) {
  if (::unlink(path.c_str()) != 0 && errno != ENOENT)
    return ErrnoStatus(errno, "cannot remove", path);
  return absl::OkStatus();
}

absl::StatusOr<int64_t> FreeBytes(const std::string& path) {
  struct statvfs info;
  if (::statvfs(path.c_str(), &info) != 0)
    return ErrnoStatus(errno, "cannot ask for the free space of", path);
  return static_cast<int64_t>(info.f_bavail) * static_cast<int64_t>(info.f_frsize);
}

std::string DirectoryOf(const std::string& path) {
  const std::string parent = std::filesystem::path(path).parent_path().string();
  return parent.empty() ? "." : parent;
}

}  // namespace hone
