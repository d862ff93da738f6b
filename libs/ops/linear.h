#pragma once

#include "libs/tensor/device.h"
#include "libs/tensor/matrix.h"

namespace hone::ops {

// y = x w^T (+ add) (+ bias).  x [N, K], w [M, K] (Hugging Face's [out, in]), y and add [N, M],
// bias [1, M]; add may be y.
void Linear(const Device& on, const Matrix& x, const Matrix& w, const Matrix& y,
            const Matrix& add = {}, const Matrix& bias = {});

// dx = dy w (+ add), skipped when dx is empty;  dw += dy^T x in f32, skipped when dw is empty.
void LinearBackward(const Device& on, const Matrix& x, const Matrix& w, const Matrix& dy,
                    const Matrix& dx, const Matrix& dw, const Matrix& add = {});
// dbias += the sum of dy's rows, in f32; skipped when dbias [1, M] is empty.
void BiasBackward(const Device& on, const Matrix& dy, const Matrix& dbias);

// The same per expert: rows [offsets[e], offsets[e+1]) of x and y with block e of w.
//   x [R, K], w [E * M, K], y [R, M]
void ExpertLinear(const Device& on, const Matrix& x, const Matrix& w, const int32_t* offsets,
                  int64_t experts, const Matrix& y);
void ExpertLinearBackward(const Device& on, const Matrix& x, const Matrix& w,
                          const int32_t* offsets, int64_t experts, const Matrix& dy,
                          const Matrix& dx, const Matrix& dw);

}  // namespace hone::ops
