// Gradients of attention. Work is split by key/value head and cluster, since only there keys are
// shared: sums over queries run in order (sequences, tiles of queries, queries, heads) on one
// thread.

#include "kernels/cpu/attention_pairs.h"
#include "kernels/cpu/kernels_isa.h"
#include "kernels/cpu/team.h"

namespace hone::kernels::cpu::HONE_ISA {
namespace {

struct Tile {
  float *q, *dout, *delta, *lse;  // [vectors, d], [vectors, dv], [vectors]
  float *p, *ds;                  // [vectors, 64]
  float* dq;                      // [vectors, dp]
  float *kt, *vt;                 // [d, 64], [dv, 64]
  float* k;                       // [64, dp]
  float *dk, *dv;                 // [64, dp], [64, dvp]
  float* memory;                  // of Arithmetic::Gather

  Tile(int64_t vectors, int64_t d, int64_t dv_) {
    const int64_t dp = RoundUp(d), dvp = RoundUp(dv_);
    const int64_t sizes[] = {vectors * dp,
                             vectors * dvp,
                             vectors,
                             vectors,
                             vectors * kChunk,
                             vectors * kChunk,
                             vectors * dp,
                             d * kChunk,
                             dv_ * kChunk,
                             kChunk * dp,
                             kChunk * dp,
                             kChunk * dvp,
                             (vectors + 1) / 2 * (kChunk + std::max(dp, dvp))};
    float** fields[] = {&q, &dout, &delta, &lse, &p, &ds, &dq, &kt, &vt, &k, &dk, &dv, &memory};
    int64_t total = 0;
    for (int64_t s : sizes) total += RoundUp(s);
    float* at = static_cast<float*>(Scratch(4 * total + 64));
    for (int i = 0; i < 13; ++i) {
      *fields[i] = at;
      at += RoundUp(sizes[i]);
    }
  }
};

// p = exp(scale s - lse), ds = scale p (dp - delta) for the first `visible` keys; 0 for the others.
inline void Row(float* p, float* ds, int64_t keys, int64_t visible, float scale, float lse,
                float delta) {
  for (int64_t j = 0; j < keys; j += kLanes) {
    const Mask seen = FirstLanes(std::clamp<int64_t>(visible - j, 0, kLanes));
    const Vec e = Select(seen, Exp(Load(p + j) * Set(scale) - Set(lse)), Zero());
    Store(p + j, e);
    Store(ds + j, Select(seen, e * (Load(ds + j) - Set(delta)) * Set(scale), Zero()));
  }
}

void AddRows(const float* from, int64_t ld_from, float* to, const int32_t* rows, int64_t ld,
             int64_t keys, int64_t d) {
  for (int64_t j = 0; j < keys; ++j) {
    float* row = to + rows[j] * ld;
    ForLanes(d, [&](int64_t l, auto lanes) {
      Store(row + l, Load(row + l, lanes) + Load(from + j * ld_from + l, lanes), lanes);
    });
  }
}

template <typename Arithmetic>
void RunTile(const AttentionBackwardArgs& b, int64_t s, int64_t g, int64_t row, int64_t count,
             const Tile& t) {
  using T = typename Arithmetic::Element;
  const AttentionArgs& a = b.forward;
  const int64_t heads = a.heads / a.kv_heads, dp = RoundUp(a.d), dvp = RoundUp(a.dv);
  const int64_t first = a.q_start[s] + row, q_len = a.q_start[s + 1] - a.q_start[s];
  const int64_t past = a.kv_start[s + 1] - a.kv_start[s] - q_len + row;
  Arithmetic::PackQueries(static_cast<const T*>(a.q), a.ldq, g * heads, heads, first, count, a.d,
                          t.q);
  Arithmetic::PackQueries(static_cast<const T*>(b.dout), a.heads * a.dv, g * heads, heads, first,
                          count, a.dv, t.dout);
  for (int64_t i = 0; i < count; ++i)
    for (int64_t h = 0; h < heads; ++h) {
      const int64_t at = (first + i) * a.heads + g * heads + h, v = i * heads + h;
      const T* out = static_cast<const T*>(a.out) + at * a.dv;
      const T* dout = static_cast<const T*>(b.dout) + at * a.dv;
      Vec sum = Zero();
      ForLanes(a.dv, [&](int64_t l, auto lanes) {
        sum = Fma(Load(dout + l, lanes), Load(out + l, lanes), sum);
      });
      t.delta[v] = Sum(sum);
      t.lse[v] = a.lse[at];
    }
  std::fill(t.dq, t.dq + count * heads * dp, 0.0f);
  const int64_t all = past + count;
  for (int64_t key = 0; key < all; key += kChunk) {
    const int64_t keys = std::min(kChunk, all - key);
    const int32_t* rows = a.kv_rows + a.kv_start[s] + key;
    const T* k = static_cast<const T*>(a.k) + g * a.d;
    Arithmetic::PackKeys(k, rows, a.ldk, keys, a.d, t.kt);
    Arithmetic::PackRows(k, rows, a.ldk, keys, a.d, t.k);
    Arithmetic::PackKeys(static_cast<const T*>(a.v) + g * a.head_v, rows, a.ldv, keys, a.dv, t.vt);
    const int64_t from = std::max<int64_t>(key - past, 0), v0 = from * heads;
    const int64_t vectors = count * heads - v0;
    float* p = t.p + v0 * kChunk;
    float* ds = t.ds + v0 * kChunk;
    const float* q = Arithmetic::From(t.q, v0, a.d);
    const float* dout = Arithmetic::From(t.dout, v0, a.dv);
    Arithmetic::Scores(q, vectors, a.d, t.kt, keys, p);
    Arithmetic::Scores(dout, vectors, a.dv, t.vt, keys, ds);
    for (int64_t i = 0; i < vectors; ++i) {
      const int64_t visible = std::min(keys, past + from + i / heads + 1 - key);
      Row(p + i * kChunk, ds + i * kChunk, keys, visible, a.scale, t.lse[v0 + i], t.delta[v0 + i]);
    }
    Arithmetic::Gather(ds, vectors, keys, q, a.d, t.dk, t.memory);
    Arithmetic::Gather(p, vectors, keys, dout, a.dv, t.dv, t.memory);
    Arithmetic::Combine(ds, vectors, keys, t.k, a.d, t.dq + v0 * dp);
    AddRows(t.dk, dp, b.dk + g * a.d, rows, b.lddk, keys, a.d);
    AddRows(t.dv, dvp, b.dv + g * a.head_v, rows, b.lddv, keys, a.dv);
  }
  for (int64_t i = 0; i < count; ++i)
    for (int64_t h = 0; h < heads; ++h) {
      T* dq = static_cast<T*>(b.dq) + (first + i) * b.lddq + (g * heads + h) * a.d;
      const float* sum = t.dq + (i * heads + h) * dp;
      ForLanes(a.d, [&](int64_t l, auto lanes) { Store(dq + l, Load(sum + l, lanes), lanes); });
    }
}

}  // namespace

Error AttentionBackward(const AttentionBackwardArgs& b, Stream stream) {
  const AttentionArgs& a = b.forward;
  if (a.heads % a.kv_heads != 0) return "attention_backward: heads is no multiple of kv_heads";
  if (a.lse == nullptr) return "attention_backward: lse is missing";
  const int64_t heads = a.heads / a.kv_heads, tile = TileRows(heads);
  const auto run = [&](auto arithmetic) {
    ParallelFor(stream, b.clusters * a.kv_heads, 1, [&](int64_t begin, int64_t end) {
      const Tile memory(tile * heads, a.d, a.dv);
      for (int64_t i = begin; i < end; ++i) {
        // All clusters of a head, then the next: threads get equal work however clusters differ.
        const int64_t g = i / b.clusters, cluster = i % b.clusters;
        for (int64_t s = b.cluster_start[cluster]; s < b.cluster_start[cluster + 1]; ++s) {
          const int64_t q_len = a.q_start[s + 1] - a.q_start[s];
          for (int64_t row = 0; row < q_len; row += tile)
            RunTile<decltype(arithmetic)>(b, s, g, row, std::min(tile, q_len - row), memory);
        }
      }
    });
  };
  WithType(a.dtype, [&](auto t) { WithArithmetic<decltype(t)>(run); });
  return nullptr;
}

}  // namespace hone::kernels::cpu::HONE_ISA
