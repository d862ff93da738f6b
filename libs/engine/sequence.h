#pragma once

#include <chrono>

#include "libs/engine/engine.h"
#include "libs/ops/head.h"

namespace hone {

// One completion in the making. `tokens` are those sampled; the first `cached` of them have rows in
// the cache (all but the last while it decodes; none after a preemption).
struct Engine::Sequence {
  int32_t index = 0;
  uint64_t noise_key = 0;
  std::vector<int32_t> tokens;
  TokenRows own;
  int64_t cached() const { return own.size(); }
  std::unique_ptr<Stopping> stopping;
  v1::Completion completion;
  double entropy_sum = 0;
  bool done = false;
  bool in_batch = false;  // of the present step: its rows are being read and cannot be taken
};

// Greedy logprobs are those of the distribution itself.
inline float InverseTemperatureOf(const v1::SamplingParams& p) {
  return p.greedy() ? 1 : ops::InverseTemperature(p.temperature());
}

// One request: the prompt's rows, shared by the sequences.
struct Engine::Group {
  GroupRequest request;
  TokenRows prompt;
  std::vector<Sequence> sequences;
  std::chrono::steady_clock::time_point start;
  bool in_batch = false;  // the prompt's rows are being written or read in the present step
  int64_t prompt_tokens() const { return static_cast<int64_t>(request.prompt.size()); }
  bool prefilled() const { return prompt.size() == prompt_tokens(); }
};

// The batch of one step, and which of its rows are sampled for whom.
struct Engine::Plan {
  struct Draw {
    int32_t row;
    Group* group;
    Sequence* sequence;
  };
  Batch batch;
  std::vector<Draw> draws;
  int64_t budget = 0;  // tokens left
};

}  // namespace hone
