#pragma once

#include "libs/tensor/device.h"
#include "libs/tensor/matrix.h"

namespace hone::ops {

// out = silu(gate) * up.  x [N, 2F] packed as gate | up, out [N, F] packed.
void Swiglu(const Device& on, const Matrix& x, const Matrix& out);
// dx [N, 2F] from dout [N, F].
void SwigluBackward(const Device& on, const Matrix& x, const Matrix& dout, const Matrix& dx);

}  // namespace hone::ops
