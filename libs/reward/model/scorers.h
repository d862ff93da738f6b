#pragma once

// Scorers that ask a model. A model's word is an opinion: see Scorer::opinion for what that means.

#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/reward/model/backends.h"
#include "libs/reward/registry.h"

namespace hone {

// Adds `reward_model`, `process_reward` and `judge`. All of them block, and need the option
// `backend`, a name out of `backends`; without any backend they are known and cannot be used
// (FAILED_PRECONDITION). They share `allow_sole_judge` (false): the opinion may stand without a
// rule's on prompts that a rule could check. TIMEOUT: no answer by the deadline;
// VERIFIER_UNAVAILABLE: the backend failed, or what it says is no answer. Numbers become values in
// [0, 1] by option `transform`: none (the default: any other number is no answer), sigmoid, or
// linear, clamped, from `low` to `high`.
absl::Status RegisterModelScorers(Registry& registry, ModelBackends backends);

namespace reward_model {

using Backends = std::shared_ptr<const ModelBackends>;

// `reward_model`. POST {"prompt", "completion", "model"?} -> {"score": number}.
absl::StatusOr<std::unique_ptr<Scorer>> MakeOutcome(const Backends& backends, Options& options);

// `process_reward`. The completion is cut into steps at option `delimiter` ("\n\n"), blank ones
// left out. POST {"prompt", "steps": [...], "model"?} -> {"scores": [...]}, one for each step. The
// value is their `aggregate`: min (the default), mean, last or product. UNPARSED: no step. BUDGET:
// more than 1,000.
absl::StatusOr<std::unique_ptr<Scorer>> MakeProcess(const Backends& backends, Options& options);

// `judge`. A chat model grades by `rubric` from 0 to `max_grade` (1 to 100; 1), which is the
// value 1. It sees what follows the thoughts, or all of it where `thoughts` is set, and the
// reference answer unless `reference` is false. What it is shown stands between marks that nobody
// can foresee, and its grade counts only on the last line, after a word of this request: a
// completion can neither end its own quotation nor spell the verdict. Anything but exactly one
// grade is VERIFIER_UNAVAILABLE. UNPARSED: thoughts that do not end. BUDGET: more than 128 KiB to
// be shown.
absl::StatusOr<std::unique_ptr<Scorer>> MakeJudge(const Backends& backends, Options& options);

// The grade on the last line of what a judge said: "VERDICT <word> <integer>", from 0 to
// `max_grade`. INVALID_ARGUMENT when the last line is anything else, or another line has that form
// and another grade.
absl::StatusOr<int> ReadVerdict(absl::string_view said, absl::string_view word, int max_grade);

}  // namespace reward_model
}  // namespace hone
