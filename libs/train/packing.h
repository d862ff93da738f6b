#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "libs/model/batch.h"

namespace hone {

// One trained completion: the prompt it continues and its tokens. Points into the caller's storage.
struct TrainSequence {
  int64_t group = 0;                    // sequences with the same group have the same prompt
  std::span<const int32_t> prompt;      // at least one token
  std::span<const int32_t> completion;  // at least one token
  float inv_temperature = 1;
};

// A forward pass without padding. The prompt of consecutive sequences of one group stands in it
// once, and they attend to it: G (P + R) tokens become P + G R with the same gradient.
struct MicroBatch {
  struct Item {
    int64_t sequence;  // index into what was packed
    int64_t begin;     // its scored tokens are [begin, begin + completion.size())
  };
  Batch batch;
  std::vector<int32_t> scored_rows;    // [M] batch row whose hidden state predicts the target
  std::vector<int32_t> targets;        // [M]
  std::vector<float> inv_temperature;  // [M]
  std::vector<Item> items;             // in order
};

// Packs sequences in order, at most `max_tokens` batch tokens each (a longer single sequence gets
// its own). A pure function: the packing, and with it every sum over tokens, is the same on every
// run.
std::vector<MicroBatch> Pack(std::span<const TrainSequence> sequences, int64_t max_tokens);

}  // namespace hone
