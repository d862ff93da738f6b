#include "libs/checkpoint/output_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <cerrno>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/base/check.h"
#include "libs/base/status.h"

namespace hone {

struct OutputFile::Hash {
  Hash() : state(XXH3_createState()) {
    HONE_CHECK(state != nullptr) << "out of memory";
    XXH3_64bits_reset(state);
  }
  ~Hash() { XXH3_freeState(state); }
  Hash(const Hash&) = delete;
  Hash& operator=(const Hash&) = delete;
  XXH3_state_t* state;
};

uint64_t Checksum(absl::string_view data) {
  return XXH3_64bits(data.data(), data.size());
}

absl::StatusOr<FileRecord> RecordOf(const std::string& path) {
  FileDescriptor fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd.valid()) return ErrnoStatus(errno, "cannot open", path);
  struct stat st;
  if (fstat(fd.get(), &st) != 0) return ErrnoStatus(errno, "cannot stat", path);
  if (!S_ISREG(st.st_mode))
    return absl::DataLossError(absl::StrCat(path, " is not a regular file"));
  XXH3_state_t* state = XXH3_createState();
  HONE_CHECK(state != nullptr) << "out of memory";
  const std::unique_ptr<XXH3_state_t, XXH_errorcode (*)(XXH3_state_t*)> owner(state,
                                                                              XXH3_freeState);
  XXH3_64bits_reset(state);
  std::vector<char> buffer(size_t{1} << 20);
  FileRecord record{path, 0, 0};
  while (true) {
    const ssize_t n = read(fd.get(), buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoStatus(errno, "cannot read", path);
    if (n == 0) break;
    XXH3_64bits_update(state, buffer.data(), static_cast<size_t>(n));
    record.bytes += n;
  }
  record.xxh3 = XXH3_64bits_digest(state);
  return record;
}

OutputFile::OutputFile(std::string path, FileDescriptor fd, int64_t expected_bytes)
    : path_(std::move(path)),
      fd_(std::move(fd)),
      expected_bytes_(expected_bytes),
      hash_(std::make_unique<Hash>()) {}
OutputFile::OutputFile(OutputFile&&) noexcept = default;
OutputFile& OutputFile::operator=(OutputFile&&) noexcept = default;
OutputFile::~OutputFile() = default;

absl::StatusOr<OutputFile> OutputFile::Create(const std::string& path, int64_t expected_bytes) {
  FileDescriptor fd(open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
  if (!fd.valid()) return ErrnoStatus(errno, "cannot create", path);
  if (expected_bytes > 0) {
    int result;
    do {
      result = fallocate(fd.get(), 0, 0, expected_bytes);
    } while (result != 0 && errno == EINTR);
    // Other errors: the file system cannot reserve; the writes will tell.
    if (result != 0 && (errno == ENOSPC || errno == EDQUOT || errno == EFBIG))
      return ErrnoStatus(errno, absl::StrCat("cannot reserve ", expected_bytes, " bytes for"),
                         path);
  }
  return OutputFile(path, std::move(fd), expected_bytes);
}

absl::Status OutputFile::WriteAt(int64_t offset, const void* data, size_t bytes) {
  HONE_CHECK(fd_.valid()) << path_ << " is finished";
  const char* from = static_cast<const char*>(data);
  int64_t at = offset;
  for (size_t left = bytes; left > 0;) {
    const ssize_t n = pwrite(fd_.get(), from, std::min(left, size_t{1} << 30), at);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0)
      return ErrnoStatus(errno, absl::StrCat("cannot write ", left, " bytes at byte ", at, " of"),
                         path_);
    from += n;
    at += n;
    left -= static_cast<size_t>(n);
  }
  if (bytes == 0) return absl::OkStatus();
  if (offset == hashed_ && in_order_) {
    XXH3_64bits_update(hash_->state, data, bytes);
    hashed_ = at;
  } else {
    in_order_ = false;
  }
  end_ = std::max(end_, at);
  return absl::OkStatus();
}

absl::StatusOr<FileRecord> OutputFile::Finish() {
  HONE_CHECK(fd_.valid()) << path_ << " is finished";
  HONE_CHECK(expected_bytes_ == 0 || end_ == expected_bytes_)
      << path_ << " has " << end_ << " bytes of " << expected_bytes_;
  if (fsync(fd_.get()) != 0) return ErrnoStatus(errno, "cannot sync", path_);
  // Network file systems may report the failed write only here.
  if (close(fd_.release()) != 0 && errno != EINTR) return ErrnoStatus(errno, "cannot close", path_);
  if (!in_order_) return RecordOf(path_);
  return FileRecord{path_, end_, XXH3_64bits_digest(hash_->state)};
}

}  // namespace hone
