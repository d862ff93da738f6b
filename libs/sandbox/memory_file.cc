#include "libs/sandbox/memory_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>

namespace hone::sandbox {

absl::StatusOr<FileDescriptor> MemoryFile(const char* name, absl::string_view data) {
  FileDescriptor file(memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!file.valid()) return ErrnoStatus(errno, "cannot create a memory file for", name);
  while (!data.empty()) {
    const ssize_t n = write(file.get(), data.data(), data.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoStatus(errno, "cannot write the memory file of", name);
    data.remove_prefix(n);
  }
  constexpr int kSeals = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL;
  if (fcntl(file.get(), F_ADD_SEALS, kSeals) != 0 || lseek(file.get(), 0, SEEK_SET) != 0)
    return ErrnoStatus(errno, "cannot seal the memory file of", name);
  return file;
}

}  // namespace hone::sandbox
