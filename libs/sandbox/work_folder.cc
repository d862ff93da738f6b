#include "libs/sandbox/work_folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/base/file.h"
#include "libs/base/status.h"

namespace hone::sandbox {
namespace {

struct Entry {
  std::string name;
  bool folder;
};

absl::StatusOr<std::vector<Entry>> List(int folder) {
  const int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return ErrnoStatus(errno, "cannot list", "a work folder");
  DIR* stream = fdopendir(fd);
  std::vector<Entry> entries;
  while (const dirent* e = readdir(stream)) {
    if (std::strcmp(e->d_name, ".") == 0 || std::strcmp(e->d_name, "..") == 0) continue;
    struct stat found = {};
    if (fstatat(folder, e->d_name, &found, AT_SYMLINK_NOFOLLOW) != 0) continue;
    entries.push_back({e->d_name, S_ISDIR(found.st_mode)});
  }
  closedir(stream);
  return entries;
}
}  // namespace

absl::StatusOr<std::string> ReadBeneath(int folder, const std::string& path, int64_t max_bytes) {
  open_how how = {};
  how.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV;
  const FileDescriptor file(
      static_cast<int>(syscall(SYS_openat2, folder, path.c_str(), &how, sizeof(how))));
  struct stat found = {};
  if (!file.valid() || fstat(file.get(), &found) != 0)
    return absl::NotFoundError(absl::StrCat(path, ": ", std::strerror(errno)));
  if (!S_ISREG(found.st_mode)) return absl::NotFoundError(absl::StrCat(path, ": not a file"));
  if (found.st_size > max_bytes)
    return absl::ResourceExhaustedError(
        absl::StrCat(path, " has ", found.st_size, " bytes, expected at most ", max_bytes));
  std::string contents(found.st_size, '\0');
  size_t have = 0;
  while (have < contents.size()) {
    const ssize_t n = read(file.get(), contents.data() + have, contents.size() - have);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoStatus(errno, "cannot read", path);
    if (n == 0) break;
    have += n;
  }
  contents.resize(have);
  return contents;
}

bool HoldsAtMost(int folder, int64_t bytes) {
  int64_t used = 0;
  int64_t files = 0;
  std::vector<FileDescriptor> folders;  // not looked into yet
  folders.emplace_back(fcntl(folder, F_DUPFD_CLOEXEC, 0));
  while (!folders.empty()) {
    const FileDescriptor at = std::move(folders.back());
    folders.pop_back();
    DIR* stream = fdopendir(openat(at.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (stream == nullptr) continue;
    while (const dirent* e = readdir(stream)) {
      if (std::strcmp(e->d_name, ".") == 0 || std::strcmp(e->d_name, "..") == 0) continue;
      struct stat found = {};
      if (fstatat(at.get(), e->d_name, &found, AT_SYMLINK_NOFOLLOW) != 0) continue;
      used += found.st_blocks * 512;
      ++files;
      if (used > bytes || files > bytes / 4096 + 64 || folders.size() > 256) {
        closedir(stream);
        return false;
      }
      if (S_ISDIR(found.st_mode))
        folders.emplace_back(
            openat(at.get(), e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    }
    closedir(stream);
  }
  return true;
}

absl::Status Empty(int folder) {
  // A folder that is not empty gives its folders to the top, so that no depth is too deep.
  for (int64_t moved = 0;;) {
    HONE_ASSIGN_OR_RETURN(const std::vector<Entry> entries, List(folder));
    if (entries.empty()) return absl::OkStatus();
    for (const auto& [name, is_folder] : entries) {
      if (unlinkat(folder, name.c_str(), is_folder ? AT_REMOVEDIR : 0) == 0) continue;
      if (!is_folder) return ErrnoStatus(errno, "cannot remove", name);
      fchmodat(folder, name.c_str(), 0700, 0);
      const FileDescriptor inner(
          openat(folder, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
      if (!inner.valid()) return ErrnoStatus(errno, "cannot open", name);
      HONE_ASSIGN_OR_RETURN(const std::vector<Entry> below, List(inner.get()));
      for (const Entry& e : below) {
        if (!e.folder) {
          if (unlinkat(inner.get(), e.name.c_str(), 0) != 0)
            return ErrnoStatus(errno, "cannot remove", e.name);
          continue;
        }
        // A folder that may not be written cannot get another parent.
        fchmodat(inner.get(), e.name.c_str(), 0700, 0);
        int failed = 0;
        do {
          const std::string to = absl::StrCat(".hone-", moved++);
          failed = renameat2(inner.get(), e.name.c_str(), folder, to.c_str(), RENAME_NOREPLACE);
        } while (failed != 0 && errno == EEXIST);
        if (failed != 0) return ErrnoStatus(errno, "cannot move", e.name);
      }
      if (unlinkat(folder, name.c_str(), AT_REMOVEDIR) != 0)
        return ErrnoStatus(errno, "cannot remove", name);
    }
  }
}

}  // namespace hone::sandbox
