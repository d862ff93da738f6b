#pragma once

// Reads a scorer's options out of a google.protobuf.Struct and remembers what was asked for, so
// that a misspelt option is an error that names the known ones, and so that the options of a scorer
// can be listed without being written down twice.

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/struct.pb.h"
#include "proto/hone/v1/reward.pb.h"

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
  // As String; any value outside `allowed` is an error.
  std::string Choice(absl::string_view name, absl::string_view fallback,
                     const std::vector<std::string>& allowed);
  // Finite numbers in [least, most]; anything else is an error.
  double Number(absl::string_view name, double fallback, double least, double most);
  int64_t Integer(absl::string_view name, int64_t fallback, int64_t least, int64_t most);

  // Whether option `name` is set; that alone does not make it known.
  bool Has(absl::string_view name) const;

  // INVALID_ARGUMENT for the first wrong value, or for an option that nobody asked for.
  absl::Status Check() const;

  // What was asked for so far, in that order.
  const std::vector<v1::ScorerOption>& known() const { return known_; }

 private:
  const google::protobuf::Value* Find(absl::string_view name, v1::ScorerOption::Kind kind,
                                      absl::string_view fallback);
  void Fail(absl::string_view name, absl::string_view expected,
            const google::protobuf::Value& value);

  std::string scorer_;
  const google::protobuf::Struct& values_;
  std::vector<v1::ScorerOption> known_;
  absl::Status status_;
};

}  // namespace hone
