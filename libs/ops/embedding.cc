#include "libs/ops/embedding.h"

namespace hone::ops {

void GatherRows(const Device& on, const Matrix& table, const int32_t* index, const Matrix& out) {
  HONE_CHECK(table.packed() && out.packed() && table.cols == out.cols && table.dtype == out.dtype);
  on.Run(on.table().gather_rows, kernels::GatherRowsArgs{.x = table.data,
                                                         .index = index,
                                                         .out = out.data,
                                                         .n = out.rows,
                                                         .c = out.cols,
                                                         .dtype = out.dtype});
}

void ScatterRows(const Device& on, const Matrix& x, const int32_t* index, const Matrix& out) {
  HONE_CHECK(x.cols == out.cols && x.dtype == out.dtype);
  on.Run(on.table().scatter_rows, kernels::ScatterRowsArgs{.x = x.data,
                                                           .index = index,
                                                           .out = out.data,
                                                           .n = x.rows,
                                                           .c = x.cols,
                                                           .ldx = x.ld,
                                                           .ldo = out.ld,
                                                           .dtype = x.dtype});
}

void CopyRows(const Device& on, const Matrix& x, const Matrix& out) {
  HONE_CHECK(x.rows == out.rows && x.cols == out.cols && x.dtype == out.dtype);
  const int64_t element = BytesOf(x.dtype);
  on.Run(on.table().copy, kernels::CopyArgs{.from = x.data,
                                            .to = out.data,
                                            .row_bytes = x.cols * element,
                                            .rows = x.rows,
                                            .from_stride = x.ld * element,
                                            .to_stride = out.ld * element});
}

void EmbeddingBackward(const Device& on, const Matrix& dout, const int32_t* ids,
                       const Matrix& dtable) {
  HONE_CHECK(dout.packed() && dtable.packed() && dout.cols == dtable.cols);
  on.Run(on.table().embedding_backward, kernels::EmbeddingBackwardArgs{.dout = dout.data,
                                                                       .ids = ids,
                                                                       .dtable = dtable.f32(),
                                                                       .n = dout.rows,
                                                                       .c = dout.cols,
                                                                       .dtype = dout.dtype});
}

}  // namespace hone::ops
