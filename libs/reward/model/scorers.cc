#include "libs/reward/model/scorers.h"

#include <utility>

#include "libs/base/status.h"

namespace hone {

absl::Status RegisterModelScorers(Registry& registry, ModelBackends backends) {
  const auto shared = std::make_shared<const ModelBackends>(std::move(backends));
  const auto with = [&](auto make) {
    return [shared, make](Options& options) { return make(shared, options); };
  };
  HONE_RETURN_IF_ERROR(registry.Register({"reward_model", "a reward model's score", "1"},
                                         with(&reward_model::MakeOutcome)));
  HONE_RETURN_IF_ERROR(
      registry.Register({"process_reward", "a process reward model's scores of the steps", "1"},
                        with(&reward_model::MakeProcess)));
  return registry.Register({"judge", "a chat model's grade by a rubric", "1"},
                           with(&reward_model::MakeJudge));
}

}  // namespace hone
