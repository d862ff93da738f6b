#pragma once

#include "libs/tensor/device.h"
#include "libs/tensor/matrix.h"

namespace hone::ops {

// Root-mean-square normalization of each of `heads` equal parts of a row.
//   x, out  [N, heads * C]; out may be x
//   weight  [1, C]
//   rstd    [N, heads] f32, kept for the backward pass; null in inference
void RmsNorm(const Device& on, const Matrix& x, const Matrix& weight, float eps, const Matrix& out,
             float* rstd = nullptr, int64_t heads = 1);

// dx = gradient of x (+ add), dweight += in f32, skipped when empty. dx may be dout or add.
void RmsNormBackward(const Device& on, const Matrix& x, const Matrix& weight, const float* rstd,
                     const Matrix& dout, const Matrix& dx, const Matrix& dweight,
                     const Matrix& add = {}, int64_t heads = 1);

}  // namespace hone::ops
