#pragma once

// The errors of one file, collected so that its author sees them all at once.

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace hone {

inline constexpr size_t kMaxConfigErrors = 20;

// Not thread-safe.
class ErrorList {
 public:
  // `place` is "file:line:column" or "--set key=value"; `what` says what is wrong and what was
  // expected. Beyond kMaxConfigErrors errors are only counted.
  void Add(absl::string_view place, absl::string_view what);
  bool empty() const { return count_ == 0; }
  // OK if there is none, else INVALID_ARGUMENT with one "place: what" per line.
  absl::Status ToStatus() const;

 private:
  std::vector<std::string> lines_;
  size_t count_ = 0;
};

}  // namespace hone
