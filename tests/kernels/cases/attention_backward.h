#pragma once

#include "tests/kernels/cases/attention.h"

namespace hone::kernels::testing {

// [N, ldq], [total, ldk], [total, ldv].
struct AttentionGradients {
  Numbers q, k, v;
};

// Of Dot(AttentionReference().out, dout), by the formulas.
inline AttentionGradients AttentionGradientsReference(const AttentionLayout& l,
                                                      const AttentionInputs& in,
                                                      const Numbers& dout) {
  const AttentionShape& s = l.shape;
  const AttentionOutput o = AttentionReference(l, in.q, in.k, in.v, in.scale);
  AttentionGradients g{Numbers(in.q.size()), Numbers(in.k.size()), Numbers(in.v.size())};
  for (size_t i = 0; i < s.sequences.size(); ++i)
    for (int64_t row = l.q_start[i]; row < l.q_start[i + 1]; ++row)
      for (int64_t h = 0; h < s.heads; ++h) {
        const int64_t group = h / (s.heads / s.kv_heads), vector = row * s.heads + h;
        const int64_t seen = s.sequences[i].kv - (l.q_start[i + 1] - row) + 1;
        const int64_t q = row * l.ldq + h * s.d, out = vector * s.dv;
        double delta = 0;
        for (int64_t c = 0; c < s.dv; ++c) delta += dout[out + c] * o.out[out + c];
        for (int64_t j = 0; j < seen; ++j) {
          const int64_t key = l.kv_rows[l.kv_start[i] + j];
          const int64_t k = key * l.ldk + group * s.d, v = key * l.ldv + group * s.head_v();
          double score = 0, dp = 0;
          for (int64_t c = 0; c < s.d; ++c) score += in.q[q + c] * in.k[k + c];
          for (int64_t c = 0; c < s.dv; ++c) dp += dout[out + c] * in.v[v + c];
          const double p = std::exp(score * in.scale - o.lse[vector]);
          const double ds = p * (dp - delta) * in.scale;
          for (int64_t c = 0; c < s.d; ++c) {
            g.q[q + c] += ds * in.k[k + c];
            g.k[k + c] += ds * in.q[q + c];
          }
          for (int64_t c = 0; c < s.dv; ++c) g.v[v + c] += p * dout[out + c];
        }
      }
  return g;
}

// The same by differences, for small shapes.
inline AttentionGradients AttentionGradientsByDifferences(const AttentionLayout& l,
                                                          const AttentionInputs& in,
                                                          const Numbers& dout) {
  const auto loss = [&](const Numbers& q, const Numbers& k, const Numbers& v) {
    return Dot(AttentionReference(l, q, k, v, in.scale).out, dout);
  };
  return {Gradient([&](const Numbers& x) { return loss(x, in.k, in.v); }, in.q),
          Gradient([&](const Numbers& x) { return loss(in.q, x, in.v); }, in.k),
          Gradient([&](const Numbers& x) { return loss(in.q, in.k, x); }, in.v)};
}

inline Case AttentionBackwardCase(const AttentionShape& s) {
  const auto layout = std::make_shared<AttentionLayout>(s);
  const auto dout = [=] { return Random(layout->rows() * s.heads * s.dv, 54); };
  Case r;
  r.name = "attention_backward " + s.name;
  r.kernel = s.kernel;
  r.rows = 0;
  r.sparse = true;
  r.tolerance = 5e-6;
  r.bf16_tolerance = 2e-2;
  r.flops = AttentionCase(s).flops * 2.5;
  r.has = [](const Table& t) { return t.attention_backward != nullptr; };
  r.job = [=](DType dtype, int64_t, int64_t) {
    const AttentionLayout& l = *layout;
    const AttentionInputs in(l);
    const Array q(in.q, dtype), k(in.k, dtype), v(in.v, dtype), d(dout(), dtype);
    const AttentionOutput o = AttentionReference(l, in.q, in.k, in.v, in.scale);
    const Array out(o.out, dtype), lse(o.lse, DType::kF32);
    const Array qs = Array::Of(l.q_start), ks = Array::Of(l.kv_start), rows = Array::Of(l.kv_rows);
    // Gradients lie in arrays of other widths than the values.
    const int64_t lddq = s.heads * s.d + (s.aligned ? 8 : 1), lddk = s.kv_heads * s.d + 2;
    const int64_t lddv = s.kv_heads * s.head_v() + 1;
    const Array dq(l.rows() * lddq, dtype), dk(Random(l.total * lddk, 55), DType::kF32);
    const Array dv(Random(l.total * lddv, 56), DType::kF32);
    const int32_t sequences = static_cast<int32_t>(s.sequences.size());
    std::vector<int32_t> cluster{0, sequences};
    if (s.shared == 0) {
      cluster.clear();
      for (int32_t i = 0; i <= sequences; ++i) cluster.push_back(i);
    }
    const Array cs = Array::Of(cluster);
    AttentionArgs a = AttentionArgsOf(l, l.q_start, l.kv_start, in.scale, dtype);
    a.q = q.At(0);
    a.k = k.At(0);
    a.v = v.At(0);
    a.out = out.At(0);
    a.lse = lse.As();
    a.q_start = qs.As<int32_t>();
    a.kv_start = ks.As<int32_t>();
    a.kv_rows = rows.As<int32_t>();
    AttentionBackwardArgs b{.forward = a,
                            .dout = d.At(0),
                            .dq = dq.At(0),
                            .dk = dk.As(),
                            .dv = dv.As(),
                            .lddq = lddq,
                            .lddk = lddk,
                            .lddv = lddv,
                            .cluster_start = cs.As<int32_t>(),
                            .clusters = static_cast<int64_t>(cluster.size()) - 1};
    return Job{[=, hold = std::vector<Array>{q, k, v, d, out, lse, qs, ks, rows, cs}](
                   const Table& t, Stream stream) { return t.attention_backward(b, stream); },
               [=, n = l.rows()] {
                 Result res;
                 for (int64_t i = 0; i < n; ++i)
                   for (int64_t c = 0; c < s.heads * s.d; ++c)
                     res.sums.push_back(dq.Get(i * lddq + c));
                 for (float x : dk.Floats()) res.sums.push_back(x);
                 for (float x : dv.Floats()) res.sums.push_back(x);
                 res.intact = dq.Intact() && dk.Intact() && dv.Intact();
                 return res;
               }};
  };
  r.sums_reference = [=] {
    const AttentionLayout& l = *layout;
    const AttentionInputs in(l);
    const AttentionGradients want = AttentionGradientsReference(l, in, dout());
    // Added to what was there.
    const auto added = [&](const Numbers& g, int64_t ld, int64_t width, int64_t ldd,
                           uint64_t seed) {
      Numbers x = Random(l.total * ldd, seed);
      for (int64_t row = 0; row < l.total; ++row)
        for (int64_t c = 0; c < width; ++c) x[row * ldd + c] += g[row * ld + c];
      return x;
    };
    const Numbers dk_want = added(want.k, l.ldk, s.kv_heads * s.d, s.kv_heads * s.d + 2, 55);
    const Numbers dv_want = added(want.v, l.ldv, l.ldv, l.ldv + 1, 56);
    Numbers all;
    for (int64_t n = 0; n < l.rows(); ++n) {
      const Numbers row = Slice(want.q, n * l.ldq, n * l.ldq + s.heads * s.d);
      all.insert(all.end(), row.begin(), row.end());
    }
    all.insert(all.end(), dk_want.begin(), dk_want.end());
    all.insert(all.end(), dv_want.begin(), dv_want.end());
    return all;
  };
  return r;
}

// Small enough for gradients by differences.
inline std::vector<AttentionShape> SmallAttentionBackwardShapes() {
  return {{"one key", {{1, 1}}, 1, 1, 2, 2},
          {"shared prompt", {{3, 5}, {4, 6}}, 4, 2, 3, 4, false, 2},
          {"chunks", {{40, 80}}, 2, 1, 2, 3},
          {"aligned", {{5, 9}, {3, 3}}, 2, 1, 16, 8, false, 0, true},
          {"wide", {{2, 3}}, 1, 1, 136, 24, false, 0, true},
          {"a key head for each", {{3, 5}, {2, 4}}, 3, 3, 7, 5, false, 2}};
}

inline std::vector<Case> AttentionBackwardCases() {
  std::vector<Case> all;
  for (const AttentionShape& s : SmallAttentionBackwardShapes())
    all.push_back(AttentionBackwardCase(s));
  const auto add = [&](AttentionShape s, const char* kernel) {
    s.kernel = kernel;
    all.push_back(AttentionBackwardCase(s));
  };
  // Warpgroups of 64 vectors (or 63, of three heads) or keys, two to a tile; several tiles of both;
  // bare decoding; a sequence of which only keys are there.
  const char* const hopper = "attention_backward dk, dv (Hopper)";
  const std::vector<Sequence> ragged{{70, 91}, {1, 150}, {0, 0}, {101, 101}, {9, 64}};
  add({"64 channels", ragged, 6, 2, 64, 64, false, 21, true}, hopper);
  const std::vector<Sequence> long_past{{40, 170}, {0, 70}, {140, 140}, {3, 3}};
  add({"128 channels", long_past, 2, 1, 128, 128, false, 0, true}, hopper);
  // MLA that is not absorbed: the ring of stages goes round; values of a head apart.
  const char* const pairs = "attention_backward dk, dv (Hopper, pairs)";
  const std::vector<Sequence> longer{{70, 132}, {1, 150}, {0, 70}, {261, 267}, {9, 64}};
  add({"192 and 128 channels", longer, 2, 2, 192, 128, false, 21, true, 128}, pairs);
  const std::vector<Sequence> grouped{{30, 77}, {131, 131}, {3, 3}};
  add({"192 and 128 channels, groups", grouped, 6, 2, 192, 128, false, 0, true, 8}, pairs);
  // What the kernel of pairs must leave to the general one.
  const char* const general = "attention_backward dk, dv";
  const std::vector<Sequence> few{{20, 33}, {1, 66}};
  add({"192 and 128 channels, not aligned", few, 2, 2, 192, 128, false, 0, false, 1}, general);
  // Keys without queries, whose copies nobody waits for, before a sequence of the same cluster.
  const std::vector<Sequence> bare{{0, 70}, {20, 85}, {0, 40}, {5, 66}};
  add({"keys without queries", bare, 4, 2, 72, 40, false, 33, true}, general);
  add({"201 and 133 channels", {{35, 70}, {66, 101}}, 3, 3, 201, 133, false, 35}, general);
  return all;
}

inline std::vector<Case> AttentionBackwardBenchCases() {
  const std::vector<Sequence> train(64, {40, 40});
  // The second on 16 bytes, as a model has it.
  return {AttentionBackwardCase({"train 64 x 40, 4x20/16", train, 4, 4, 20, 16}),
          AttentionBackwardCase(
              {"train 1 x 2048, GQA 16/8x128", {{2048, 2048}}, 16, 8, 128, 128, false, 0, true})};
}

}  // namespace hone::kernels::testing
