#include "libs/ops/swiglu.h"

namespace hone::ops {

void Swiglu(const Device& on, const Matrix& x, const Matrix& out) {
  HONE_CHECK(x.packed() && out.packed() && x.cols == 2 * out.cols && x.rows == out.rows);
  on.Run(on.table().swiglu,
         kernels::SwigluArgs{
             .x = x.data, .out = out.data, .n = x.rows, .f = out.cols, .dtype = x.dtype});
}

void SwigluBackward(const Device& on, const Matrix& x, const Matrix& dout, const Matrix& dx) {
  HONE_CHECK(x.packed() && dout.packed() && dx.packed() && x.cols == 2 * dout.cols &&
             dx.cols == x.cols);
  on.Run(on.table().swiglu_backward, kernels::SwigluBackwardArgs{.x = x.data,
                                                                 .dout = dout.data,
                                                                 .dx = dx.data,
                                                                 .n = x.rows,
                                                                 .f = dout.cols,
                                                                 .dtype = x.dtype});
}

}  // namespace hone::ops
