#pragma once

// hone model verify: everything that can be wrong with a model folder before a run finds out.

#include <string>

#include "libs/tensor/matrix.h"
#include "proto/hone/v1/model.pb.h"

namespace hone::cli {

struct ModelCheckOptions {
  DType dtype = DType::kF32;
  const kernels::Table* table = &kernels::Cpu();  // what generates
  bool generate = true;  // false: the weights are read through, not loaded
  std::string prompt;  // "": any that the tokenizer knows
  int new_tokens = 32;
  int threads = 1;
};

// The checks in order; what depends on one that failed is left out.
//
//   manifest    (a run's checkpoint) sizes and checksums of all files
//   config      config.json describes a model that Hone has
//   tensors     every tensor is there and has its shape
//   values      every weight is finite
//   tokenizer   its ids have rows in the embedding, the end-of-sequence ids have tokens
//   generation  greedy completion, and its log-probabilities again by teacher forcing, to the bit
v1::ModelCheckReport CheckModel(const std::string& path, const ModelCheckOptions& options);

// `path`, or the folder `hf` in it when `path` is a run's checkpoint.
std::string ModelFolderOf(const std::string& path);

}  // namespace hone::cli
