#pragma once

// Which files make up the weights of a Hugging Face folder, and how they are quantised.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace hone {

// No config.json is longer.
constexpr int64_t kMaxConfigBytes = int64_t{1} << 20;

struct HfIndex {
  std::vector<std::string> files;            // base names, sorted, unique
  std::map<std::string, std::string> where;  // tensor -> file; empty: the one file holds them all
  int64_t total_size = -1;                   // bytes of all tensors as claimed; -1: not said
};

// Finds `model.safetensors.index.json` or `model.safetensors` in `dir`. INVALID_ARGUMENT for a
// broken index, a file name that is not a plain base name, both layouts at once;
// FAILED_PRECONDITION for a folder with pickled weights only; NOT_FOUND for one without weights.
absl::StatusOr<HfIndex> FindHfFiles(const std::string& dir);

struct Fp8Blocks {
  int64_t rows = 128;
  int64_t columns = 128;
};

// Block size of `weight_scale_inv` from config.json; 128 x 128 where it does not say. UNIMPLEMENTED
// for any other quantisation method.
absl::StatusOr<Fp8Blocks> ReadFp8Blocks(const std::string& dir);

}  // namespace hone
