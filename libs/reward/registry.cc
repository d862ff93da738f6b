#include "libs/reward/registry.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace hone {

absl::Status Registry::Register(ScorerInfo info, Factory factory) {
  std::string name = info.name;
  bool added = entries_.emplace(name, Entry{std::move(info), std::move(factory)}).second;
  if (!added)
    return absl::AlreadyExistsError(absl::StrCat("scorer \"", name, "\" is registered already"));
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Scorer>> Registry::Make(
    absl::string_view name, const google::protobuf::Struct& options) const {
  auto it = entries_.find(std::string(name));
  if (it == entries_.end()) {
    auto join = [](std::string* out, const auto& entry) { out->append(entry.first); };
    return absl::InvalidArgumentError(absl::StrCat(
        "unknown scorer ", Quoted(name), "; known scorers: ", absl::StrJoin(entries_, ", ", join)));
  }
  Options reader(name, options);
  absl::StatusOr<std::unique_ptr<Scorer>> scorer = it->second.factory(reader);
  // A wrong value is the better message: the factory has gone on with the fallback.
  if (absl::Status status = reader.Check(); !status.ok()) return status;
  return scorer;
}

std::vector<ScorerInfo> Registry::List() const {
  std::vector<ScorerInfo> all;
  for (const auto& [name, entry] : entries_) all.push_back(entry.info);
  return all;
}

}  // namespace hone
