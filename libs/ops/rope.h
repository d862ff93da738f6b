#pragma once

#include <vector>

#include "libs/tensor/arena.h"
#include "libs/tensor/device.h"
#include "libs/tensor/matrix.h"

namespace hone::ops {

// {cos, sin} per position and channel pair, times the attention factor.
struct RopeTable {
  Memory values;  // f32 [positions, pairs, 2]
  int64_t positions;
  int64_t pairs;
  bool interleaved;  // pairs (2j, 2j+1), else (j, j + pairs)
};

// `frequencies` [pairs]: angle = position * frequency, in double precision before cos and sin. For
// devices of `on`.
RopeTable MakeRopeTable(const std::vector<double>& frequencies, double attention_factor,
                        int64_t positions, bool interleaved, const kernels::Table& on);

// Rotates the 2 * pairs channels of every head. Heads begin at x + h * head_x and out + h * head_o
// (elements); rows at x.ld and out.ld. Only the data pointers, rows and strides of x and out are
// used; out may be x. `inverse` is the backward pass.
void Rope(const Device& on, const RopeTable& table, const int32_t* positions, const Matrix& x,
          int64_t head_x, const Matrix& out, int64_t head_o, int64_t heads, bool inverse = false);

}  // namespace hone::ops
