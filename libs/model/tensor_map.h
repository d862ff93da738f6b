#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/checkpoint/hf_reader.h"
#include "libs/model/parameters.h"

namespace hone {

// Which stored tensor holds each parameter of a model, and what else a checkpoint holds.
struct TensorMap {
  // Elements [first, first + size of the parameter) of a tensor: of its own one, or of one in which
  // all experts of a layer are stacked (`mlp.experts.gate_up_proj` [E, 2F, D] with the rows of gate
  // before those of up, and `mlp.experts.down_proj` [E, D, F]).
  struct Place {
    std::string tensor;
    int64_t first = 0;
  };
  std::vector<Place> parameters;  // as layout.parameters()
  std::vector<Place> biases;      // as layout.biases()
  // Tensors that the model does not use and the next checkpoint must not lose: layers for
  // multi-token prediction, rotary_emb.inv_freq. The scales of fp8 tensors are left out, and so is
  // the copy of a tied head.
  std::vector<HfTensor> carried;
};

// INVALID_ARGUMENT: a tensor is missing, has another shape than config.json says (name, both
// shapes), or lies in a layer of the model without being a part of it, such as a bias that
// config.json does not ask for.
absl::StatusOr<TensorMap> MapTensors(const HfReader& reader, const ModelConfig& config,
                                     const ParameterLayout& layout);

}  // namespace hone
