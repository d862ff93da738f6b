#include "libs/ops/rms_norm.h"

namespace hone::ops {

void RmsNorm(const Device& on, const Matrix& x, const Matrix& weight, float eps, const Matrix& out,
             float* rstd, int64_t heads) {
  HONE_CHECK(x.cols == heads * weight.cols && x.rows == out.rows && x.cols == out.cols &&
             x.dtype == out.dtype && x.dtype == weight.dtype)
      << "x " << x.rows << "x" << x.cols << ", weight " << weight.cols << ", heads " << heads;
  on.Run(on.table().rms_norm, kernels::RmsNormArgs{.x = x.data,
                                                   .weight = weight.data,
                                                   .out = out.data,
                                                   .rstd = rstd,
                                                   .n = x.rows,
                                                   .heads = heads,
                                                   .c = weight.cols,
                                                   .ldx = x.ld,
                                                   .ldo = out.ld,
                                                   .eps = eps,
                                                   .dtype = x.dtype});
}

void RmsNormBackward(const Device& on, const Matrix& x, const Matrix& weight, const float* rstd,
                     const Matrix& dout, const Matrix& dx, const Matrix& dweight, const Matrix& add,
                     int64_t heads) {
  HONE_CHECK(x.cols == heads * weight.cols && dout.rows == x.rows && dx.rows == x.rows &&
             dx.ld == x.ld && (dweight.empty() || dweight.dtype == DType::kF32) && (add.empty() || add.ld == dx.ld));
  on.Run(on.table().rms_norm_backward, kernels::RmsNormBackwardArgs{.x = x.data,
                                                                    .weight = weight.data,
                                                                    .rstd = rstd,
                                                                    .dout = dout.data,
                                                                    .add = add.data,
                                                                    .dx = dx.data,
                                                                    .dweight = static_cast<float*>(dweight.data),
                                                                    .n = x.rows,
                                                                    .heads = heads,
                                                                    .c = weight.cols,
                                                                    .ldx = x.ld,
                                                                    .ldo = dout.ld,
                                                                    .dtype = x.dtype});
}

}  // namespace hone::ops
