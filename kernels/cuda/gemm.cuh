#pragma once

// The work of a product kernel: products of one kind, dense or one per expert, and their tiles.

#include "kernels/cuda/resident.cuh"
#include "kernels/cuda/tile.cuh"

namespace hone::kernels::cuda {

// One product.
struct Product {
  const void* a;
  const void* b;
  void* c;
  const void* add;
  int64_t m, n, k, lda, ldb, ldc;
  bool a_aligned, b_aligned;  // 16 bytes, for whole vectors
  bool c_pairs;               // c and add may be accessed by pairs
  DType c_dtype;
  int64_t item, first;  // in Products; its first row of all rows of a

  // Two neighbours of a row of c, with what is added, as far as there are columns.
  __device__ void Store(int64_t row, int64_t col, float x, float y) const {
    c_dtype == DType::kF32 ? StoreAs<float>(row, col, x, y) : StoreAs<BF16>(row, col, x, y);
  }

 private:
  template <typename T>
  __device__ void StoreAs(int64_t row, int64_t col, float x, float y) const {
    const int64_t at = row * ldc + col;
    StorePair(static_cast<T*>(c) + at, add == nullptr ? nullptr : static_cast<const T*>(add) + at,
              x, y, n - col, c_pairs);
  }
};

struct Products {
  const void* a;
  const void* b;
  void* c;
  const void* add;
  const int32_t* offsets;  // on the device; null: `items` products alike at the strides
  int64_t m, n, k;         // with offsets m, and k of TN, is the sum over experts (0: unknown)
  int64_t lda, ldb, ldc;
  int64_t items, stride_a, stride_b, stride_c;
  bool a_aligned, b_aligned, c_pairs;
  DType c_dtype;

  // Rows of one product, or of the mean expert; 64 if the caller did not say.
  int64_t RowsHint(Layout layout) const {
    if (offsets == nullptr || layout == Layout::kTN) return m;
    return m == 0 ? 64 : CeilDiv(m, items);
  }
  // The number of tiles, or more where the device alone knows.
  int64_t Tiles(Layout layout, int64_t rows, int64_t cols) const {
    const int64_t across = CeilDiv(n, cols);
    if (offsets == nullptr || layout == Layout::kTN) return items * CeilDiv(m, rows) * across;
    return m == 0 ? int64_t{1} << 30 : (m / rows + items) * across;
  }

  // Tile t: its product and the first row and column; false: there is none.
  template <typename T, Layout kLayout>
  __device__ bool Find(Walk& walk, int64_t t, int rows, int cols, Product* p, int64_t* m0,
                       int64_t* n0) const {
    const int64_t across = CeilDiv(n, cols);
    int64_t item, tile;
    *p =
        Product{a, b, c, add, m, n, k, lda, ldb, ldc, a_aligned, b_aligned, c_pairs, c_dtype, 0, 0};
    if (offsets != nullptr && kLayout != Layout::kTN) {
      item = walk.Find(
          t, static_cast<int>(items),
          [&](int i) { return CeilDiv(offsets[i + 1] - offsets[i], rows) * across; }, &tile);
      if (item < 0) return false;
      p->m = offsets[item + 1] - offsets[item];
    } else if (offsets != nullptr) {
      const int64_t each = CeilDiv(m, rows) * across;
      item = walk.Find(
          t, static_cast<int>(items), [&](int i) { return offsets[i + 1] > offsets[i] ? each : 0; },
          &tile);
      if (item < 0) return false;
      p->k = offsets[item + 1] - offsets[item];
    } else {
      const int64_t each = CeilDiv(m, rows) * across;
      item = t / each;
      tile = t % each;
      if (item >= items) return false;
    }
    const int64_t first = offsets == nullptr ? 0 : offsets[item];
    p->item = item;
    p->first = first;
    p->a = static_cast<const T*>(a) + item * stride_a + first * lda;
    p->b = static_cast<const T*>(b) + item * stride_b + (kLayout == Layout::kTN ? first * ldb : 0);
    const int64_t to = item * stride_c + (kLayout == Layout::kTN ? 0 : first * ldc);
    const int64_t size = c_dtype == DType::kF32 ? 4 : 2;
    p->c = static_cast<char*>(c) + to * size;
    if (add != nullptr) p->add = static_cast<const char*>(add) + to * size;
    // Bands of eight tiles down and all across: blocks that run together share operands in L2.
    constexpr int64_t kBand = 8;
    const int64_t down = CeilDiv(p->m, rows), band = tile / (kBand * across);
    const int64_t height = min(kBand, down - band * kBand), in_band = tile - band * kBand * across;
    *m0 = (band * kBand + in_band % height) * rows;
    *n0 = in_band / height * cols;
    return true;
  }
};

// bf16 by wgmma (sm_90a). Whether it is the one to take, from what all rows have in common:
// N, K, alignment.
bool TakesHopper(const Products& all, Layout layout);
Error LaunchHopper(const Products& all, Layout layout, Stream stream);

}  // namespace hone::kernels::cuda
