#pragma once

#include "libs/tensor/device.h"
#include "libs/tensor/matrix.h"

namespace hone::ops {

// out[i] = table[index[i]].  table [V, C] packed, out [N, C] packed. Also dispatches rows to
// experts.
void GatherRows(const Device& on, const Matrix& table, const int32_t* index, const Matrix& out);
// out[index[i]] = x[i], indices distinct: writes the key/value cache.
void ScatterRows(const Device& on, const Matrix& x, const int32_t* index, const Matrix& out);
// out = x, which may be columns of a wider matrix, as out may.
void CopyRows(const Device& on, const Matrix& x, const Matrix& out);
// dtable[ids[i]] += dout[i] in order of i, f32.
void EmbeddingBackward(const Device& on, const Matrix& dout, const int32_t* ids,
                       const Matrix& dtable);

}  // namespace hone::ops
