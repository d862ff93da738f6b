#pragma once

#include <sys/mount.h>

#include <string>

#include "tests/testing/test.h"

namespace hone::testing {

// A file system of a few mebibytes; needs the right to mount.
class SmallDisk {
 public:
  explicit SmallDisk(int mebibytes) {
    mounted_ = mount("tmpfs", path().c_str(), "tmpfs", 0, Size(mebibytes).c_str()) == 0;
  }
  ~SmallDisk() {
    if (mounted_) umount2(path().c_str(), MNT_DETACH);
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;

  bool mounted() const { return mounted_; }
  const std::string& path() const { return dir_.path(); }
  bool Resize(int mebibytes) {
    return mount("tmpfs", path().c_str(), "tmpfs", MS_REMOUNT, Size(mebibytes).c_str()) == 0;
  }

 private:
  static std::string Size(int mebibytes) { return "size=" + std::to_string(mebibytes) + "m"; }

  TempDir dir_;
  bool mounted_;
};

}  // namespace hone::testing
