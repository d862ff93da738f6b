#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "libs/loop/learner_loop.h"
#include "libs/loop/model_folder.h"
#include "libs/loop/training_checkpoint.h"

namespace hone {

inline double Seconds(Duration d) {
  return std::chrono::duration<double>(d).count();
}

// The run that a learner works on.
struct LearnerLoop::Session {
  std::string run_id;
  v1::RunSpec spec;
  ModelFolder folder;
  std::unique_ptr<Transformer> transformer;
  std::unique_ptr<Trainer> trainer;
  std::unique_ptr<StepLog> log;
  Position position;
  uint64_t base_digest = 0;  // as in Snapshot::Take
  bool resumed = false;
  int64_t highest_version = 0;  // below it nothing is published: it was once before
  TimePoint last_step_end = std::chrono::steady_clock::now();
  Duration recalling{};  // of the present step: waiting for lent weights, which is not training
};

}  // namespace hone
