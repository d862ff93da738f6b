#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "libs/model/config.h"
#include "libs/tensor/matrix.h"
#include "libs/tokenizer/tokenizer.h"
#include "proto/hone/v1/config.pb.h"

namespace hone {

// What the model folder of a run says, read alike by workers and learner.
struct ModelFolder {
  ModelConfig config;
  std::unique_ptr<Tokenizer> tokenizer;
  int64_t max_context = 0;
  int64_t vocab =
      0;  // ids that can be sampled: those of the tokenizer that the embedding has rows for
  DType dtype = DType::kF32;
};

// INVALID_ARGUMENT or NOT_FOUND with the path; FAILED_PRECONDITION: precision bf16 without a matrix
// unit for it.
absl::StatusOr<ModelFolder> OpenModelFolder(const v1::ModelSpec& spec);

}  // namespace hone
