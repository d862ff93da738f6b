#pragma once

// What a rollout loop is busy with. Private to its files.

#include "libs/loop/model_folder.h"
#include "libs/loop/rollout_loop.h"

namespace hone {

struct RolloutLoop::Assignment {
  std::string run_id;
  std::string weights_address;
  int64_t lease_seconds = 30;
  ModelFolder folder;
  std::unique_ptr<Transformer> transformer;
  std::shared_ptr<Weights> base;  // frozen, under adapters; null without, or if weights bring it
  std::unique_ptr<Engine> engine;
  std::map<uint64_t, std::shared_ptr<Pending>> groups;  // by request id; the engine's thread only
  int64_t pinned = 0;  // groups in the engine that must end under the present version
  int64_t counted_generated = 0, counted_prefilled = 0;
  std::map<uint64_t, std::function<void(v1::Completion)>> visitors;  // of Generate, by request id
};

struct RolloutLoop::Pending {
  Mutex mu;
  v1::CommitGroupRequest commit ABSL_GUARDED_BY(mu);
  int missing ABSL_GUARDED_BY(mu) = 0;  // verdicts
  v1::Prompt prompt;
  v1::RewardSpec reward;
  bool pinned = false;
  int unfinished = 0;    // completions; the engine's thread only
  bool aborted = false;  // likewise: nothing to commit
};

}  // namespace hone
