#pragma once

#include <cstdint>

namespace hone {

// Which activations a training pass forgets and its backward pass computes again, one layer at a
// time. The bits of every result are the same.
enum class ActivationCheckpointing : uint8_t {
  kNone,
  kFeedForward,  // those of the feed-forward: most of the memory for less than half of the work
  kLayer,        // all but the residual stream between layers
};

}  // namespace hone
