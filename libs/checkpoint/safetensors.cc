#include "libs/checkpoint/safetensors.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/status.h"

namespace hone {
namespace {

static_assert(std::endian::native == std::endian::little, "safetensors data is little-endian");

absl::Status ReadAt(int fd, const std::string& path, int64_t offset, char* out, size_t bytes) {
  while (bytes > 0) {
    // Linux moves at most 2 GiB per call.
    const ssize_t n = pread(fd, out, std::min(bytes, size_t{1} << 30), offset);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0)
      return absl::ErrnoToStatus(errno, absl::StrCat("cannot read ", path, " at byte ", offset));
    if (n == 0)
      return absl::DataLossError(absl::StrCat(path, " ended at byte ", offset, ", expected ", bytes,
                                              " more bytes: it was truncated while open"));
    out += n;
    offset += n;
    bytes -= static_cast<size_t>(n);
  }
  return absl::OkStatus();
}

absl::Status Annotate(const absl::Status& s, const std::string& path) {
  return absl::Status(s.code(), absl::StrCat(s.message(), " [in ", path, "]"));
}

}  // namespace

absl::StatusOr<SafetensorsFile> SafetensorsFile::Open(const std::string& path) {
  // O_NONBLOCK: opening a named pipe must not wait for a writer.
  FileDescriptor opened(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!opened.valid()) return ErrnoStatus(errno, "cannot open", path);
  const int fd = opened.get();
  SafetensorsFile file(path, std::move(opened), 0);
  struct stat st;
  if (fstat(fd, &st) != 0) return ErrnoStatus(errno, "cannot stat", path);
  if (!S_ISREG(st.st_mode))
    return absl::InvalidArgumentError(absl::StrCat(path, " is not a regular file"));
  file.file_bytes_ = st.st_size;

  std::string prefix(static_cast<size_t>(std::min(file.file_bytes_, kSafetensorsPrefix)), '\0');
  HONE_RETURN_IF_ERROR(ReadAt(fd, path, 0, prefix.data(), prefix.size()));
  absl::StatusOr<int64_t> length = CheckHeaderLength(prefix, file.file_bytes_);
  if (!length.ok()) return Annotate(length.status(), path);
  std::string text(static_cast<size_t>(*length), '\0');
  HONE_RETURN_IF_ERROR(ReadAt(fd, path, kSafetensorsPrefix, text.data(), text.size()));
  absl::StatusOr<SafetensorsHeader> header = ParseSafetensorsHeader(text, file.file_bytes_);
  if (!header.ok()) return Annotate(header.status(), path);
  file.header_ = *std::move(header);
  file.index_.reserve(file.header_.tensors.size());
  for (size_t i = 0; i < file.header_.tensors.size(); ++i)
    file.index_.emplace(file.header_.tensors[i].name, i);
  return file;
}

const TensorEntry* SafetensorsFile::Find(absl::string_view name) const {
  const auto it = index_.find(name);
  return it == index_.end() ? nullptr : &header_.tensors[it->second];
}

absl::Status SafetensorsFile::Read(absl::string_view name, void* out, size_t bytes) const {
  const TensorEntry* tensor = Find(name);
  if (tensor == nullptr)
    return absl::NotFoundError(absl::StrCat(path_, " has no tensor '", name, "'"));
  if (bytes != static_cast<size_t>(tensor->bytes))
    return absl::InvalidArgumentError(absl::StrCat("tensor '", name, "' of ", path_, " has ",
                                                   tensor->bytes, " bytes, the caller expected ",
                                                   bytes));
  return ReadRange(*tensor, 0, out, bytes);
}

absl::Status SafetensorsFile::ReadRange(const TensorEntry& tensor, int64_t begin, void* out,
                                        size_t bytes) const {
  if (begin < 0 || begin > tensor.bytes || bytes > static_cast<size_t>(tensor.bytes - begin))
    return absl::OutOfRangeError(absl::StrCat("tensor '", tensor.name, "' of ", path_, " has ",
                                              tensor.bytes, " bytes, asked for ", bytes, " from ",
                                              begin, " on"));
  return ReadAt(fd_.get(), path_, tensor.offset + begin, static_cast<char*>(out), bytes);
}

}  // namespace hone
