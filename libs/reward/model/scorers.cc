#include "libs/reward/model/scorers.h"

#include <utility>

#include "libs/base/status.h"

namespace hone {

absl::Status RegisterModelScorers(Registry& registry, ModelBackends backends) {
  const auto shared = std::make_shared<const ModelBackends>(std::move(backends));
  const auto add = [&](ScorerInfo info, auto make) {
    if (shared->empty())
      return registry.RegisterUnavailable(std::move(info), "started without backends");
    return registry.Register(std::move(info),
                             [shared, make](Options& options) { return make(shared, options); });
  };
  HONE_RETURN_IF_ERROR(
      add({"reward_model", "a reward model's score", "1"}, &reward_model::MakeOutcome));
  HONE_RETURN_IF_ERROR(add({"process_reward", "a process reward model's scores of the steps", "1"},
                           &reward_model::MakeProcess));
  return add({"judge", "a chat model's grade by a rubric", "1"}, &reward_model::MakeJudge);
}

}  // namespace hone
