#pragma once

// Files, for those who must not lose or half-write them. Every error names the path and what the
// system said; the code follows errno (ENOENT NOT_FOUND, EACCES PERMISSION_DENIED, ENOSPC
// RESOURCE_EXHAUSTED ...). Free functions are thread-safe.

#include <cstdint>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace hone {

// The status for errno `error` of `action` ("cannot open") on `path`.
absl::Status ErrnoStatus(int error, absl::string_view action, absl::string_view path);

// Owns a file descriptor; -1 is none.
class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int fd) : fd_(fd) {}
  FileDescriptor(FileDescriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~FileDescriptor() { Close(); }
  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  int release() { return std::exchange(fd_, -1); }
  void Close();

 private:
  int fd_ = -1;
};

// The whole file. RESOURCE_EXHAUSTED when it holds more than `max_bytes`, INVALID_ARGUMENT when it
// is a directory. Also reads what has no size beforehand (/proc, pipes).
absl::StatusOr<std::string> ReadFile(const std::string& path, int64_t max_bytes);

// A file that appears whole or not at all: written beside its place under a temporary name, then
// synced and renamed over it by Commit. Destruction without Commit removes the temporary file; a
// crash leaves a file named "<path>.tmp.<random>" that nobody reads. One thread at a time.
class AtomicFile {
 public:
  // `mode` is subject to the umask. The directory must exist.
  static absl::StatusOr<AtomicFile> Create(const std::string& path, int mode = 0644);
  AtomicFile(AtomicFile&& other) noexcept;
  AtomicFile& operator=(AtomicFile&& other) = delete;
  ~AtomicFile();

  // After an error only destruction is useful.
  absl::Status Append(absl::string_view data);
  // Syncs the file, renames it into place and syncs the directory. Once, and last.
  absl::Status Commit();

 private:
  AtomicFile(std::string path, std::string temporary, FileDescriptor fd);
  std::string path_;
  std::string temporary_;  // Empty when there is nothing to remove.
  FileDescriptor fd_;
};

// Create, Append and Commit in one.
absl::Status WriteFileAtomically(const std::string& path, absl::string_view data, int mode = 0644);

// Makes renames, creations and removals in `directory` durable.
absl::Status SyncDirectory(const std::string& directory);

// `directory` and its missing parents; OK when it is there already.
absl::Status MakeDirectories(const std::string& directory);

// Removes a file. OK when there is none.
absl::Status RemoveFile(const std::string& path);

// Bytes that this user may still write on the file system of `path`.
absl::StatusOr<int64_t> FreeBytes(const std::string& path);

// The directory part of a path, "." when it has none.
std::string DirectoryOf(const std::string& path);

}  // namespace hone
