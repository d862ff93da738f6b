#pragma once

// The scorers that a process has, by name.

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/struct.pb.h"
#include "libs/reward/options.h"
#include "libs/reward/scorer.h"

namespace hone {

struct ScorerInfo {
  std::string name;         // as in ScorerSpec.name
  std::string description;  // one line
  std::string version;      // changes when the same item could get another verdict
};

// Filled once, then read only: const methods are thread-safe.
class Registry {
 public:
  // Reads all of its options through `options` (values are checked afterwards); may return an error
  // of its own for values that do not go together.
  using Factory = std::function<absl::StatusOr<std::unique_ptr<Scorer>>(Options& options)>;

  // ALREADY_EXISTS when the name is taken.
  absl::Status Register(ScorerInfo info, Factory factory);

  // INVALID_ARGUMENT for an unknown scorer or option, naming the known ones, and for wrong values.
  absl::StatusOr<std::unique_ptr<Scorer>> Make(absl::string_view name,
                                               const google::protobuf::Struct& options) const;

  // By name.
  std::vector<ScorerInfo> List() const;

 private:
  struct Entry {
    ScorerInfo info;
    Factory factory;
  };
  std::map<std::string, Entry> entries_;
};

// `contains`, `countdown`, `format` and `math`.
const Registry& BuiltinScorers();

}  // namespace hone
