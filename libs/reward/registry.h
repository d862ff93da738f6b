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
  // of its own for values that do not go together. It is also called without any options, to learn
  // which there are: an error is fine then.
  using Factory = std::function<absl::StatusOr<std::unique_ptr<Scorer>>(Options& options)>;

  // ALREADY_EXISTS when the name is taken.
  absl::Status Register(ScorerInfo info, Factory factory);

  // A scorer that exists, but not in this process. `why` says what it lacks: "started without
  // --sandbox". Errors as Register.
  absl::Status RegisterUnavailable(ScorerInfo info, absl::string_view why);

  // INVALID_ARGUMENT for an unknown scorer or option, naming the known ones, and for wrong values;
  // FAILED_PRECONDITION for one that is not available here, saying why.
  absl::StatusOr<std::unique_ptr<Scorer>> Make(absl::string_view name,
                                               const google::protobuf::Struct& options) const;

  // By name.
  std::vector<ScorerInfo> List() const;
  // The same with the options of each.
  v1::ListScorersResponse Describe() const;

  // The version of scorer `name`; empty when there is none.
  std::string VersionOf(absl::string_view name) const;

 private:
  struct Entry {
    ScorerInfo info;
    Factory factory;
    std::string unavailable;  // why; empty: it is available
  };
  std::map<std::string, Entry> entries_;
};

// The scorers that need nothing but the item: `contains`, `countdown`, `format`, `language`,
// `length`, `math` and `repetition`.
const Registry& BuiltinScorers();
// Adds them to `registry`, which has none of them yet.
absl::Status RegisterBuiltinScorers(Registry& registry);

}  // namespace hone
