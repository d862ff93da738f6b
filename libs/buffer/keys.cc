#include "libs/buffer/keys.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "libs/base/check.h"

namespace hone {

absl::Status CheckId(absl::string_view what, absl::string_view id) {
  auto begins = [](char c) { return absl::ascii_islower(c) || absl::ascii_isdigit(c); };
  auto goes_on = [&](char c) { return begins(c) || c == '_' || c == '.' || c == '-'; };
  if (!id.empty() && id.size() <= 63 && begins(id[0]) && std::all_of(id.begin(), id.end(), goes_on))
    return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(what, " \"", absl::CHexEscape(id.substr(0, 80)),
                                                 "\" must match [a-z0-9][a-z0-9_.-]{0,62}"));
}

absl::Status CheckName(absl::string_view what, absl::string_view name) {
  if (!name.empty() && name.size() <= 128 &&
      std::none_of(name.begin(), name.end(), [](char c) { return absl::ascii_iscntrl(c); }))
    return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(what, " \"", absl::CHexEscape(name.substr(0, 140)),
                                                 "\" must have 1 to 128 printable characters"));
}

namespace keys {
namespace {

// A family letter followed by names.
template <typename... Names>
std::string Make(char family, const Names&... names) {
  std::string key(1, family);
  ((absl::StrAppend(&key, names), key.push_back('\0')), ...);
  return key;
}

std::string QueueKey(char family, const QueueId& q) {
  return Make(family, q.run, q.evaluation ? "e" : "s", q.name) + Number(q.version);
}

}  // namespace

std::string Number(int64_t n) {
  const uint64_t u = static_cast<uint64_t>(n) ^ (uint64_t{1} << 63);
  std::string s(8, '\0');
  for (int i = 0; i < 8; ++i) s[i] = static_cast<char>(u >> (56 - 8 * i));
  return s;
}

int64_t LastNumber(absl::string_view key) {
  HONE_CHECK(key.size() >= 8) << "a key of " << key.size() << " bytes ends in no number";
  uint64_t u = 0;
  for (char c : key.substr(key.size() - 8)) u = u << 8 | static_cast<uint8_t>(c);
  return static_cast<int64_t>(u ^ (uint64_t{1} << 63));
}

std::string After(std::string prefix) {
  while (!prefix.empty() && static_cast<uint8_t>(prefix.back()) == 0xff) prefix.pop_back();
  HONE_CHECK(!prefix.empty()) << "no key lies above this prefix";
  ++prefix.back();
  return prefix;
}

std::string Schema() {
  return Make('m', "schema");
}
std::string Counters() {
  return Make('m', "counters");
}

std::string PromptSets() {
  return "P";
}
std::string PromptSet(absl::string_view set) {
  return Make('P', set);
}
std::string Prompts(absl::string_view set) {
  return Make('p', set);
}
std::string Prompt(absl::string_view set, int64_t index) {
  return Prompts(set) + Number(index);
}
std::string PromptIds(absl::string_view set) {
  return Make('k', set);
}
std::string PromptId(absl::string_view set, absl::string_view prompt_id) {
  return absl::StrCat(PromptIds(set), prompt_id);
}
std::string RawBytes(absl::string_view set) {
  return Make('b', set);
}
std::string RawBytes(absl::string_view set, int64_t offset) {
  return RawBytes(set) + Number(offset);
}

std::string Runs() {
  return "R";
}
std::string Run(absl::string_view run) {
  return Make('R', run);
}
std::string Stage(absl::string_view run, absl::string_view stage) {
  return Make('S', run, stage);
}
std::string Steps(absl::string_view run) {
  return Make('M', run);
}
std::string Step(absl::string_view run, int64_t step) {
  return Steps(run) + Number(step);
}
std::string Batches(absl::string_view run) {
  return Make('a', run);
}
std::string Batch(absl::string_view run, int64_t step) {
  return Batches(run) + Number(step);
}
std::string Evaluations(absl::string_view run) {
  return Make('V', run);
}
std::string Evaluation(absl::string_view run, int64_t step, absl::string_view name) {
  return absl::StrCat(Evaluations(run), Number(step), name);
}
std::string OpenEvaluations(absl::string_view run) {
  return Make('v', run);
}
std::string OpenEvaluation(absl::string_view run, int64_t step, absl::string_view name) {
  return absl::StrCat(OpenEvaluations(run), Number(step), name);
}

std::string Queue(const QueueId& queue) {
  return QueueKey('Q', queue);
}
std::string Issues(const QueueId& queue) {
  return QueueKey('x', queue);
}
std::string Issue(const QueueId& queue, int64_t issue) {
  return Issues(queue) + Number(issue);
}
std::string States(const QueueId& queue) {
  return QueueKey('i', queue);
}
std::string InState(const QueueId& queue, v1::IssueState state) {
  return States(queue) + static_cast<char>(state);
}
std::string InState(const QueueId& queue, v1::IssueState state, int64_t issue) {
  return InState(queue, state) + Number(issue);
}
std::string Group(const QueueId& queue, int64_t issue) {
  return QueueKey('g', queue) + Number(issue);
}

std::string Worker(absl::string_view role, absl::string_view worker) {
  return Make('W', role, worker);
}

}  // namespace keys
}  // namespace hone
