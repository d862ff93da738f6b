#include "libs/buffer/group_check.h"

#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "xxhash.h"

namespace hone {
namespace {

absl::Status CheckCompletion(const v1::Completion& c, int index, const v1::Group& group,
                             const v1::StoredIssue& issue) {
  auto wrong = [&](auto&&... parts) {
    return absl::InvalidArgumentError(
        absl::StrCat("issue ", group.issue(), ": completion ", index, " has ", parts...));
  };
  const int tokens = c.token_ids_size();
  if (c.sample_index() != index) return wrong("sample_index ", c.sample_index());
  if (c.logprobs_size() != tokens)
    return wrong(c.logprobs_size(), " logprobs for ", tokens, " tokens");
  if (c.kept_mass_size() != 0 && c.kept_mass_size() != tokens)
    return wrong(c.kept_mass_size(), " kept masses for ", tokens, " tokens");
  int64_t covered = 0;
  for (const v1::VersionRun& run : c.versions()) {
    if (run.tokens() <= 0) return wrong("a version run of ", run.tokens(), " tokens");
    covered += run.tokens();
    if (issue.exact_version() >= 0 && run.version() != issue.exact_version())
      return wrong("tokens of weights version ", run.version(), ", leased for exactly ",
                   issue.exact_version());
  }
  if (covered != tokens) return wrong("version runs for ", covered, " of ", tokens, " tokens");
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckGroup(const v1::Group& group, const v1::StoredIssue& issue, int group_size) {
  auto wrong = [&](auto&&... parts) {
    return absl::InvalidArgumentError(absl::StrCat("issue ", group.issue(), ": ", parts...));
  };
  if (group.prompt_id() != issue.issue().prompt_id())
    return wrong("prompt_id \"", group.prompt_id(), "\", leased was \"", issue.issue().prompt_id(),
                 "\"");
  if (group.completions_size() != group_size)
    return wrong(group.completions_size(), " completions, leased were ", group_size);
  if (issue.exact_version() >= 0 && group.weights_version() != issue.exact_version())
    return wrong("weights_version ", group.weights_version(), ", leased for exactly ",
                 issue.exact_version());
  if (group.prompt_token_ids_size() == 0) return wrong("no prompt_token_ids");
  for (int i = 0; i < group.completions_size(); ++i)
    HONE_RETURN_IF_ERROR(CheckCompletion(group.completions(i), i, group, issue));
  return absl::OkStatus();
}

uint64_t GroupDigest(const v1::Group& group) {
  uint64_t h = 0;
  auto add = [&h](const void* data, size_t bytes) { h = XXH3_64bits_withSeed(data, bytes, h); };
  auto number = [&add](int64_t n) { add(&n, sizeof(n)); };
  auto ids = [&](const auto& field) {
    number(field.size());
    add(field.data(), sizeof(*field.data()) * static_cast<size_t>(field.size()));
  };
  number(static_cast<int64_t>(group.seed()));
  number(group.weights_version());
  ids(group.prompt_token_ids());
  for (const v1::Completion& c : group.completions()) {
    ids(c.token_ids());
    ids(c.logprobs());
    ids(c.kept_mass());
    for (const v1::VersionRun& run : c.versions()) {
      number(run.version());
      number(run.tokens());
    }
    number(c.finish_reason());
  }
  return h;
}

}  // namespace hone
