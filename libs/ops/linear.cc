#include "libs/ops/linear.h"

namespace hone::ops {

using kernels::GemmArgs;
using kernels::GroupedGemmArgs;
using kernels::Layout;

void Linear(const Device& on, const Matrix& x, const Matrix& w, const Matrix& y, const Matrix& add,
            const Matrix& bias) {
  HONE_CHECK(x.rows == y.rows && x.cols == w.cols && y.cols == w.rows && x.dtype == w.dtype)
      << x.rows << "x" << x.cols << " * " << w.rows << "x" << w.cols << "^T -> " << y.rows << "x"
      << y.cols;
  HONE_CHECK(add.empty() || (add.ld == y.ld && add.cols == y.cols && add.dtype == y.dtype));
  if (!bias.empty()) {  // the product is then added to it
    HONE_CHECK(bias.rows == 1 && bias.cols == y.cols && bias.dtype == y.dtype);
    on.Run(on.table().bias, kernels::BiasArgs{.x = add.data,
                                              .bias = bias.data,
                                              .out = y.data,
                                              .n = y.rows,
                                              .c = y.cols,
                                              .ldx = add.ld,
                                              .ldo = y.ld,
                                              .dtype = y.dtype});
    return Linear(on, x, w, y, y);
  }
  on.Run(on.table().gemm, GemmArgs{.a = x.data,
                                   .b = w.data,
                                   .c = y.data,
                                   .add = add.data,
                                   .m = x.rows,
                                   .n = w.rows,
                                   .k = x.cols,
                                   .lda = x.ld,
                                   .ldb = w.ld,
                                   .ldc = y.ld,
                                   .layout = Layout::kNT,
                                   .dtype = x.dtype,
                                   .c_dtype = y.dtype});
}

void LinearBackward(const Device& on, const Matrix& x, const Matrix& w, const Matrix& dy,
                    const Matrix& dx, const Matrix& dw, const Matrix& add) {
  HONE_CHECK(x.rows == dy.rows && x.cols == w.cols && dy.cols == w.rows)
      << x.rows << "x" << x.cols << " * " << w.rows << "x" << w.cols << "^T <- " << dy.rows << "x"
      << dy.cols;
  if (!dx.empty()) {
    HONE_CHECK(dx.rows == x.rows && dx.cols == x.cols && (add.empty() || add.ld == dx.ld));
    on.Run(on.table().gemm, GemmArgs{.a = dy.data,
                                     .b = w.data,
                                     .c = dx.data,
                                     .add = add.data,
                                     .m = dy.rows,
                                     .n = w.cols,
                                     .k = w.rows,
                                     .lda = dy.ld,
                                     .ldb = w.ld,
                                     .ldc = dx.ld,
                                     .layout = Layout::kNN,
                                     .dtype = dy.dtype,
                                     .c_dtype = dx.dtype});
  }
  if (dw.empty()) return;
  HONE_CHECK(dw.rows == w.rows && dw.cols == w.cols && dw.dtype == DType::kF32);
  on.Run(on.table().gemm, GemmArgs{.a = dy.data,
                                   .b = x.data,
                                   .c = dw.data,
                                   .add = dw.data,
                                   .m = w.rows,
                                   .n = w.cols,
                                   .k = x.rows,
                                   .lda = dy.ld,
                                   .ldb = x.ld,
                                   .ldc = dw.ld,
                                   .layout = Layout::kTN,
                                   .dtype = x.dtype,
                                   .c_dtype = DType::kF32});
}

void BiasBackward(const Device& on, const Matrix& dy, const Matrix& dbias) {
  if (dbias.empty()) return;
  HONE_CHECK(dbias.rows == 1 && dbias.cols == dy.cols && dbias.dtype == DType::kF32);
  on.Run(on.table().bias_backward, kernels::BiasBackwardArgs{.dout = dy.data,
                                                             .dbias = dbias.f32(),
                                                             .n = dy.rows,
                                                             .c = dy.cols,
                                                             .ldo = dy.ld,
                                                             .dtype = dy.dtype});
}

void ExpertLinear(const Device& on, const Matrix& x, const Matrix& w, const int32_t* offsets,
                  int64_t experts, const Matrix& y) {
  HONE_CHECK(x.packed() && w.packed() && y.packed() && w.rows == experts * y.cols &&
             x.cols == w.cols && x.rows == y.rows);
  on.Run(on.table().grouped_gemm, GroupedGemmArgs{.a = x.data,
                                                  .b = w.data,
                                                  .c = y.data,
                                                  .offsets = offsets,
                                                  .experts = experts,
                                                  .n = y.cols,
                                                  .k = x.cols,
                                                  .rows = x.rows,
                                                  .layout = Layout::kNT,
                                                  .dtype = x.dtype,
                                                  .c_dtype = y.dtype});
}

void ExpertLinearBackward(const Device& on, const Matrix& x, const Matrix& w,
                          const int32_t* offsets, int64_t experts, const Matrix& dy,
                          const Matrix& dx, const Matrix& dw) {
  HONE_CHECK(x.packed() && w.packed() && dy.packed() && w.rows == experts * dy.cols &&
             x.cols == w.cols && x.rows == dy.rows);
  if (!dx.empty()) {
    on.Run(on.table().grouped_gemm, GroupedGemmArgs{.a = dy.data,
                                                    .b = w.data,
                                                    .c = dx.data,
                                                    .offsets = offsets,
                                                    .experts = experts,
                                                    .n = x.cols,
                                                    .k = dy.cols,
                                                    .rows = dy.rows,
                                                    .layout = Layout::kNN,
                                                    .dtype = dy.dtype,
                                                    .c_dtype = dx.dtype});
  }
  if (dw.empty()) return;
  on.Run(on.table().grouped_gemm, GroupedGemmArgs{.a = dy.data,
                                                  .b = x.data,
                                                  .c = dw.data,
                                                  .offsets = offsets,
                                                  .experts = experts,
                                                  .m = dy.cols,
                                                  .n = x.cols,
                                                  .rows = x.rows,
                                                  .layout = Layout::kTN,
                                                  .dtype = x.dtype,
                                                  .c_dtype = DType::kF32});
}

}  // namespace hone::ops
