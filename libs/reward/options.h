#pragma once

// Reads a scorer's options out of a google.protobuf.Struct and remembers what was asked for, so
// that a misspelt option is an error that names the known ones.

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/struct.pb.h"

namespace hone {

// Used by one factory, on one thread. `values` must outlive it.
class Options {
 public:
  Options(absl::string_view scorer, const google::protobuf::Struct& values)
      : scorer_(scorer), values_(values) {}

  // The value of option `name`, or `fallback` where it is absent or wrong; what was wrong is kept
  // for Check.
  std::string String(absl::string_view name, absl::string_view fallback);
  bool Bool(absl::string_view name, bool fallback);
  // As String; a number outside [low, high] is an error.
  double Number(absl::string_view name, double fallback, double low, double high);
  // As String; any value outside `allowed` is an error.
  std::string Choice(absl::string_view name, absl::string_view fallback,
                     const std::vector<std::string>& allowed);

  // INVALID_ARGUMENT for the first wrong value, or for an option that nobody asked for.
  absl::Status Check() const;

 private:
  const google::protobuf::Value* Find(absl::string_view name);
  void Fail(absl::string_view name, absl::string_view expected,
            const google::protobuf::Value& value);

  std::string scorer_;
  const google::protobuf::Struct& values_;
  std::vector<std::string> known_;
  absl::Status status_;
};

}  // namespace hone
