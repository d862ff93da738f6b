// Causal attention over ragged sequences. One path for decode, prefill and training: a tile of
// query vectors walks over chunks of 64 keys from the start of its sequence with a running maximum.
// Every number of a query vector comes from its own lanes and rows, whatever else is in the tile.

#include "kernels/cpu/attention_pairs.h"
#include "kernels/cpu/kernels_isa.h"
#include "kernels/cpu/team.h"

namespace hone::kernels::cpu::HONE_ISA {
namespace {

// One thread's memory for a tile of `vectors` query vectors.
struct Tile {
  float *q, *kt, *v, *p, *acc, *max, *sum;

  Tile(int64_t vectors, int64_t d, int64_t dv) {
    const int64_t sizes[] = {
        vectors * d, d * kChunk, RoundUp(dv) * kChunk, vectors * kChunk, vectors * RoundUp(dv),
        vectors,     vectors};
    int64_t total = 0;
    for (int64_t s : sizes) total += RoundUp(s);
    float* at = static_cast<float*>(Scratch(4 * total + 64));
    float** fields[] = {&q, &kt, &v, &p, &acc, &max, &sum};
    for (int i = 0; i < 7; ++i) {
      *fields[i] = at;
      at += RoundUp(sizes[i]);
    }
  }
};

// Scores of one query vector become exp(score - running maximum) over its first `visible` keys; acc
// and sum are brought to the new maximum. Sums over the chunk are ((0 + 1) + (2 + 3)) of its
// vectors.
inline void SoftmaxRow(float* p, int64_t visible, float scale, float* max, float* sum, float* acc,
                       int64_t dv) {
  const Vec low = Set(-__builtin_inff());
  const int64_t vecs = (visible + kLanes - 1) / kLanes;
  Vec z[4], top = low;
  for (int64_t j = 0; j < vecs; ++j) {
    z[j] = Load(p + j * kLanes) * Set(scale);
    if ((j + 1) * kLanes > visible) z[j] = Select(FirstLanes(visible - j * kLanes), z[j], low);
    top = Max(top, z[j]);
  }
  const float before = *max, now = std::max(before, MaxOf(top));
  Vec e[4] = {Zero(), Zero(), Zero(), Zero()};
  for (int64_t j = 0; j < vecs; ++j) {
    e[j] = Exp(z[j] - Set(now));
    Store(p + j * kLanes, e[j]);
  }
  const float add = Sum((e[0] + e[1]) + (e[2] + e[3]));
  if (now == before) {
    *sum += add;
    return;
  }
  const float shrink = Exp(before - now);
  *sum = __builtin_fmaf(*sum, shrink, add);
  *max = now;
  for (int64_t l = 0; l < dv; l += kLanes) Store(acc + l, Load(acc + l) * Set(shrink));
}

// Rows [row, row + count) of sequence s (rows from its start), key/value head g.
template <typename Arithmetic>
void RunTile(const AttentionArgs& a, int64_t s, int64_t g, int64_t row, int64_t count,
             const Tile& t) {
  using T = typename Arithmetic::Element;
  const int64_t heads = a.heads / a.kv_heads, dvp = RoundUp(a.dv);
  const int64_t first = a.q_start[s] + row, q_len = a.q_start[s + 1] - a.q_start[s];
  const int64_t kv_len = a.kv_start[s + 1] - a.kv_start[s];
  const int64_t past = kv_len - q_len + row;  // keys before the first query of the tile
  const int64_t vectors = count * heads;
  Arithmetic::PackQueries(static_cast<const T*>(a.q), a.ldq, g * heads, heads, first, count, a.d,
                          t.q);
  for (int64_t i = 0; i < vectors; ++i) {
    t.max[i] = -__builtin_inff();
    t.sum[i] = 0;
  }
  std::fill(t.acc, t.acc + vectors * dvp, 0.0f);
  const int64_t all = past + count;  // keys that the last query sees
  for (int64_t key = 0; key < all; key += kChunk) {
    const int64_t keys = std::min(kChunk, all - key);
    const int32_t* rows = a.kv_rows + a.kv_start[s] + key;
    Arithmetic::PackKeys(static_cast<const T*>(a.k) + g * a.d, rows, a.ldk, keys, a.d, t.kt);
    Arithmetic::PackRows(static_cast<const T*>(a.v) + g * a.head_v, rows, a.ldv, keys, a.dv, t.v);
    // Query i of the tile sees past + i + 1 keys.
    const int64_t from = std::max<int64_t>(key - past, 0);
    Arithmetic::Scores(Arithmetic::From(t.q, from * heads, a.d), (count - from) * heads, a.d, t.kt,
                       keys, t.p + from * heads * kChunk);
    for (int64_t i = from; i < count; ++i) {
      const int64_t visible = std::min(keys, past + i + 1 - key);
      for (int64_t h = i * heads; h < (i + 1) * heads; ++h)
        SoftmaxRow(t.p + h * kChunk, visible, a.scale, t.max + h, t.sum + h, t.acc + h * dvp, dvp);
    }
    // Rows that see the whole chunk go together; on the diagonal each has its own number of keys.
    for (int64_t i = from; i < count;) {
      const int64_t visible = std::min(keys, past + i + 1 - key);
      const int64_t stop = visible == keys ? count : i + 1;
      Arithmetic::Combine(t.p + i * heads * kChunk, (stop - i) * heads, visible, t.v, a.dv,
                          t.acc + i * heads * dvp);
      i = stop;
    }
  }
  for (int64_t i = 0; i < count; ++i)
    for (int64_t h = 0; h < heads; ++h) {
      const int64_t v = i * heads + h, at = (first + i) * a.heads + g * heads + h;
      T* out = static_cast<T*>(a.out) + at * a.dv;
      const Vec sum = Set(t.sum[v]);
      ForLanes(a.dv, [&](int64_t l, auto lanes) {
        Store(out + l, Load(t.acc + v * dvp + l) / sum, lanes);
      });
      if (a.lse != nullptr) a.lse[at] = t.max[v] + Log(t.sum[v]);
    }
}

}  // namespace

Error Attention(const AttentionArgs& a, Stream stream) {
  if (a.heads % a.kv_heads != 0) return "attention: heads is no multiple of kv_heads";
  const int64_t heads = a.heads / a.kv_heads, tile = TileRows(heads);
  int64_t tiles = 0, work = 0;
  for (int64_t s = 0; s < a.sequences; ++s) {
    const int64_t q_len = a.q_start[s + 1] - a.q_start[s];
    const int64_t kv_len = a.kv_start[s + 1] - a.kv_start[s];
    if (q_len > kv_len) return "attention: a sequence has fewer keys than queries";
    tiles += (q_len + tile - 1) / tile;
    work += q_len * kv_len;
  }
  if (tiles == 0) return nullptr;
  tiles *= a.kv_heads;
  const auto run = [&](auto arithmetic) {
    const int64_t cost = work * a.heads / tiles * (a.d + a.dv) / 16;
    ParallelFor(stream, tiles, RowGrain(cost), [&](int64_t begin, int64_t end) {
      const Tile memory(tile * heads, a.d, a.dv);
      // Tile number = (tiles of earlier sequences + tile in the sequence) * kv_heads + head.
      int64_t seen = 0;
      for (int64_t s = 0; s < a.sequences && seen < end; ++s) {
        const int64_t q_len = a.q_start[s + 1] - a.q_start[s];
        const int64_t own = (q_len + tile - 1) / tile * a.kv_heads;
        for (int64_t i = std::max<int64_t>(begin - seen, 0); i < std::min(own, end - seen); ++i) {
          const int64_t row = i / a.kv_heads * tile;
          RunTile<decltype(arithmetic)>(a, s, i % a.kv_heads, row, std::min(tile, q_len - row),
                                        memory);
        }
        seen += own;
      }
    });
  };
  WithType(a.dtype, [&](auto t) { WithArithmetic<decltype(t)>(run); });
  return nullptr;
}

}  // namespace hone::kernels::cpu::HONE_ISA
