#pragma once

#include <string>

namespace hone {

// Which build this is. `commit` is the abbreviated git commit, with "-dirty" when tracked files
// differed; "unknown" outside a git checkout, and in Debug builds, where it would relink everything
// at each commit.
struct BuildVersion {
  std::string version;     // "0.1.0"
  std::string commit;      // "4f2c81d03ab1"
  std::string build_type;  // "RelWithDebInfo"
  std::string compiler;    // "GNU 12.2.0"
};
const BuildVersion& Version();

}  // namespace hone
