#pragma once

#include "libs/tensor/device.h"
#include "libs/tensor/matrix.h"

namespace hone::ops {

// y = x w^T (+ add).  x [N, K], w [M, K] (Hugging Face's [out, in]), y and add [N, M]; add may be
// y.
void Linear(const Device& on, const Matrix& x, const Matrix& w, const Matrix& y,
            const Matrix& add = {});

// dx = dy w (+ add), skipped when dx is empty;  dw += dy^T x in f32, skipped when dw is empty.
void LinearBackward(const Device& on, const Matrix& x, const Matrix& w, const Matrix& dy,
                    const Matrix& dx, const Matrix& dw, const Matrix& add = {});

// The same per expert: rows [offsets[e], offsets[e+1]) of x and y with block e of w.
//   x [R, K], w [E * M, K], y [R, M]
void ExpertLinear(const Device& on, const Matrix& x, const Matrix& w, const int32_t* offsets,
                  int64_t experts, const Matrix& y);
void ExpertLinearBackward(const Device& on, const Matrix& x, const Matrix& w,
                          const int32_t* offsets, int64_t experts, const Matrix& dy,
                          const Matrix& dx, const Matrix& dw);

}  // namespace hone::ops
