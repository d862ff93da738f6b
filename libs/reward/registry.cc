#include "libs/reward/registry.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "libs/config/suggest.h"

namespace hone {

absl::Status Registry::Register(ScorerInfo info, Factory factory) {
  std::string name = info.name;
  bool added = entries_.emplace(name, Entry{std::move(info), std::move(factory), ""}).second;
  if (!added)
    return absl::AlreadyExistsError(absl::StrCat("scorer \"", name, "\" is registered already"));
  return absl::OkStatus();
}

absl::Status Registry::RegisterUnavailable(ScorerInfo info, absl::string_view why) {
  const std::string name = info.name;
  absl::Status status = Register(std::move(info), nullptr);
  if (status.ok()) entries_[name].unavailable = std::string(why);
  return status;
}

absl::StatusOr<std::unique_ptr<Scorer>> Registry::Make(
    absl::string_view name, const google::protobuf::Struct& options) const {
  auto it = entries_.find(std::string(name));
  if (it == entries_.end()) {
    std::vector<std::string> names;
    for (const auto& [known, entry] : entries_) names.push_back(known);
    const std::string near = Closest(name, names);
    return absl::InvalidArgumentError(
        absl::StrCat("unknown scorer ", Quoted(name),
                     near.empty() ? "" : absl::StrCat("; did you mean \"", near, "\"?"),
                     "; known scorers: ", absl::StrJoin(names, ", ")));
  }
  if (!it->second.unavailable.empty())
    return absl::FailedPreconditionError(
        absl::StrCat("scorer \"", name, "\" is not available here: ", it->second.unavailable));
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

v1::ListScorersResponse Registry::Describe() const {
  v1::ListScorersResponse all;
  for (const auto& [name, entry] : entries_) {
    v1::ListScorersResponse::Scorer& scorer = *all.add_scorers();
    scorer.set_name(name);
    scorer.set_description(entry.info.description);
    scorer.set_version(entry.info.version);
    scorer.set_unavailable(entry.unavailable);
    if (!entry.unavailable.empty()) continue;
    const google::protobuf::Struct none;
    Options options(name, none);
    const absl::StatusOr<std::unique_ptr<Scorer>> made = entry.factory(options);
    scorer.set_blocks(made.ok() && (*made)->blocks());
    if (absl::IsFailedPrecondition(made.status()))
      scorer.set_unavailable(std::string(made.status().message()));
    for (const v1::ScorerOption& option : options.known()) *scorer.add_options() = option;
  }
  return all;
}

std::string Registry::VersionOf(absl::string_view name) const {
  const auto it = entries_.find(std::string(name));
  return it == entries_.end() ? "" : it->second.info.version;
}

}  // namespace hone
