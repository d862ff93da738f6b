#include "libs/sandbox/runner/namespaces.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "libs/sandbox/runner/confine.h"
#include "libs/sandbox/runner/system.h"

namespace hone::sandbox {
namespace {
using wire::Step;

constexpr unsigned kNobody = 65534;  // what programs see as their user and group

bool WriteText(int folder, const char* path, const char* text) {
  const int fd = openat(folder, path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) return false;
  const bool ok = WriteAll(fd, text, std::strlen(text));
  const int error = errno;
  close(fd);
  errno = error;
  return ok;
}

// Of the user namespace that this process has just entered; `uid` and `gid` are what it is outside.
bool MapIdentity(int proc, unsigned uid, unsigned gid) {
  char user[64];
  char group[64];
  std::snprintf(user, sizeof(user), "%u %u 1", kNobody, uid);
  std::snprintf(group, sizeof(group), "%u %u 1", kNobody, gid);
  return WriteText(proc, "self/uid_map", user) && WriteText(proc, "self/gid_map", group);
}

// `path` and its parents beneath the current folder.
bool MakeFolders(const char* path) {
  char part[256];
  for (const char* slash = std::strchr(path, '/');; slash = std::strchr(slash + 1, '/')) {
    const size_t n = slash == nullptr ? std::strlen(path) : slash - path;
    std::memcpy(part, path, n);
    part[n] = 0;
    if (n > 0 && mkdir(part, 0755) != 0 && errno != EEXIST) return false;
    if (slash == nullptr) return true;
  }
}

// Shows `place` of the old root in the new one, which is the current folder.
bool Show(const wire::Place& place) {
  const char* to = place.path + 1;
  struct stat found = {};
  if (lstat(place.path, &found) != 0) return errno == ENOENT;
  char parent[256];
  std::strcpy(parent, to);
  if (char* slash = std::strrchr(parent, '/'); slash != nullptr) {
    *slash = 0;
    if (!MakeFolders(parent)) return false;
  }
  if (S_ISLNK(found.st_mode)) {
    char target[4096];
    const ssize_t n = readlink(place.path, target, sizeof(target) - 1);
    if (n < 0) return false;
    target[n] = 0;
    return symlink(target, to) == 0 || errno == EEXIST;
  }
  if (S_ISDIR(found.st_mode) ? !MakeFolders(to) : !WriteText(AT_FDCWD, to, "")) return false;
  if (mount(place.path, to, nullptr, MS_BIND | MS_REC, nullptr) != 0) return false;
  mount_attr attributes = {};
  attributes.attr_set = MOUNT_ATTR_NOSUID;
  if (place.kind != wire::Place::kDevice)
    attributes.attr_set |= MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV;
  return syscall(SYS_mount_setattr, AT_FDCWD, to, AT_RECURSIVE, &attributes, sizeof(attributes)) ==
         0;
}
}  // namespace

Step EnterNamespaces(const wire::Config& config, int proc) {
  if (config.identity != 0 && !TakeIdentity(config.identity, true)) return Step::kIdentity;
  const unsigned uid = getuid();
  const unsigned gid = getgid();
  if (unshare(CLONE_NEWUSER) != 0 || !WriteText(proc, "self/setgroups", "deny") ||
      !MapIdentity(proc, uid, gid))
    return Step::kUserNamespace;
  if (unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) != 0)
    return Step::kNamespaces;
  sethostname("hone", 4);

  // Over a folder that every user reaches (not so the host's own, as a rule) and that is not shown.
  if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
      mount("root", "/proc", "tmpfs", MS_NOSUID, "size=256k,mode=0755") != 0 || chdir("/proc") != 0)
    return Step::kRoot;
  for (int i = 0; i < config.places; ++i)
    if (!Show(config.place[i])) return Step::kPlaces;
  if (!MakeFolders("work") || !MakeFolders("etc") ||
      !WriteText(AT_FDCWD, "etc/passwd", "nobody:x:65534:65534:nobody:/work:/bin/false\n") ||
      !WriteText(AT_FDCWD, "etc/group", "nogroup:x:65534:\n"))
    return Step::kRoot;
  // The old root ends up over the new one, and is then taken away.
  if (syscall(SYS_pivot_root, ".", ".") != 0 || umount2(".", MNT_DETACH) != 0 || chdir("/") != 0)
    return Step::kRoot;
  mount_attr attributes = {};
  attributes.attr_set = MOUNT_ATTR_RDONLY;
  if (syscall(SYS_mount_setattr, AT_FDCWD, "/", 0, &attributes, sizeof(attributes)) != 0)
    return Step::kRoot;
  return Step::kNone;
}

int ForkIntoNamespaces(int proc) {
  constexpr unsigned long kFlags =
      CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | SIGCHLD;
  const int pid = static_cast<int>(syscall(SYS_clone, kFlags, nullptr, nullptr, nullptr, nullptr));
  if (pid == 0 && !MapIdentity(proc, kNobody, kNobody)) _exit(125);
  return pid;
}

int MountWorkFolder(int64_t bytes, bool run) {
  char options[96];
  // Names cost memory too: as many files as would fit were they of a page each, within reason.
  const long long files = bytes / 4096 + 64 < 65536 ? bytes / 4096 + 64 : 65536;
  std::snprintf(options, sizeof(options), "size=%lld,nr_inodes=%lld,mode=0700",
                static_cast<long long>(bytes < 4096 ? 4096 : bytes), files);
  if (mount("work", "/work", "tmpfs", MS_NOSUID | MS_NODEV | (run ? 0 : MS_NOEXEC), options) != 0)
    return -1;
  return open("/work", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

}  // namespace hone::sandbox
