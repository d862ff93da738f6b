#pragma once

// A new file that knows its checksum.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/base/file.h"

namespace hone {

// What a manifest says about a file.
struct FileRecord {
  std::string path;  // relative to the folder, '/' between names
  int64_t bytes = 0;
  uint64_t xxh3 = 0;  // XXH3-64 of the contents, seed 0
};

// XXH3-64 of memory.
uint64_t Checksum(absl::string_view data);
// Size and checksum of a file; `path` of the record is `path`. NOT_FOUND, DATA_LOSS.
absl::StatusOr<FileRecord> RecordOf(const std::string& path);

// One thread at a time. A full disk is RESOURCE_EXHAUSTED with the path and the bytes that did not
// fit.
class OutputFile {
 public:
  // Fails when the file exists. Reserves `expected_bytes`, where the file system can, so that a
  // full disk shows before the work and not after it.
  static absl::StatusOr<OutputFile> Create(const std::string& path, int64_t expected_bytes);
  OutputFile(OutputFile&&) noexcept;
  OutputFile& operator=(OutputFile&&) noexcept;
  ~OutputFile();

  absl::Status WriteAt(int64_t offset, const void* data, size_t bytes);
  // Syncs and closes. The checksum was computed on the way when the writes came in order; otherwise
  // the file is read back. The size must be `expected_bytes` unless that was 0.
  absl::StatusOr<FileRecord> Finish();

 private:
  struct Hash;
  OutputFile(std::string path, FileDescriptor fd, int64_t expected_bytes);

  std::string path_;
  FileDescriptor fd_;
  int64_t expected_bytes_;
  int64_t hashed_ = 0;  // bytes in order from the start
  int64_t end_ = 0;     // highest byte written
  bool in_order_ = true;
  std::unique_ptr<Hash> hash_;
};

}  // namespace hone
