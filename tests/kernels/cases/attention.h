#pragma once

#include "tests/kernels/case.h"

namespace hone::kernels::testing {

struct Sequence {
  int64_t q, kv;  // rows, and keys that the last of them sees
};

struct AttentionShape {
  std::string name;
  std::vector<Sequence> sequences;
  int64_t heads, kv_heads, d, dv;
  bool latent = false;   // v are the first dv channels of k (MLA in absorbed form, kv_heads = 1)
  int64_t shared = 0;    // the first keys of all sequences are the same rows
  bool aligned = false;  // every row on 16 bytes, if the widths allow
  int64_t gap = 0;       // elements between the values of two heads
  const char* kernel = nullptr;  // see Case
  int64_t out_at = 0;            // forward: the first element of out in its array
  int64_t head_v() const { return dv + gap; }
};

// Where things lie: key j of sequence s is row Row(s, j) of k; rows are dealt backwards to be far
// from packed.
struct AttentionLayout {
  explicit AttentionLayout(const AttentionShape& s) : shape(s) {
    q_start = {0};
    kv_start = {0};
    int32_t next = 0;
    for (const Sequence& q : s.sequences) {
      q_start.push_back(q_start.back() + static_cast<int32_t>(q.q));
      kv_start.push_back(kv_start.back() + static_cast<int32_t>(q.kv));
      total += q.kv;
    }
    total += s.shared;
    for (const Sequence& q : s.sequences)
      for (int64_t j = 0; j < q.kv; ++j)
        kv_rows.push_back(j < s.shared ? static_cast<int32_t>(j)
                                       : static_cast<int32_t>(total - 1 - next++));
    ldq = s.heads * s.d + (s.aligned ? 8 : 3);
    ldk = s.kv_heads * s.d + (s.aligned ? 16 : 5);
    ldv = s.latent ? ldk : s.kv_heads * s.head_v();
  }
  int64_t rows() const { return q_start.back(); }
  static int64_t Longest(const std::vector<int32_t>& start) {
    int32_t longest = 0;
    for (size_t s = 1; s < start.size(); ++s) longest = std::max(longest, start[s] - start[s - 1]);
    return longest;
  }

  AttentionShape shape;
  std::vector<int32_t> q_start, kv_start, kv_rows;
  int64_t total = 0, ldq, ldk, ldv;
};

struct AttentionOutput {
  Numbers out, lse;
};

// q [N, ldq], k [total, ldk], v [total, ldv]: plain softmax attention.
inline AttentionOutput AttentionReference(const AttentionLayout& l, const Numbers& q,
                                          const Numbers& k, const Numbers& v, double scale) {
  const AttentionShape& s = l.shape;
  AttentionOutput o;
  for (size_t i = 0; i < s.sequences.size(); ++i)
    for (int64_t row = 0; row < s.sequences[i].q; ++row)
      for (int64_t h = 0; h < s.heads; ++h) {
        const int64_t g = h / (s.heads / s.kv_heads);
        const int64_t seen = s.sequences[i].kv - s.sequences[i].q + row + 1;
        Numbers p(seen), out(s.dv, 0.0);
        double max = -1e300, sum = 0;
        for (int64_t j = 0; j < seen; ++j) {
          const int64_t key = l.kv_rows[l.kv_start[i] + j];
          for (int64_t c = 0; c < s.d; ++c)
            p[j] += q[(l.q_start[i] + row) * l.ldq + h * s.d + c] * k[key * l.ldk + g * s.d + c];
          p[j] *= scale;
          max = std::max(max, p[j]);
        }
        for (double& x : p) sum += x = std::exp(x - max);
        for (int64_t j = 0; j < seen; ++j)
          for (int64_t c = 0; c < s.dv; ++c)
            out[c] += p[j] / sum * v[l.kv_rows[l.kv_start[i] + j] * l.ldv + g * s.head_v() + c];
        o.out.insert(o.out.end(), out.begin(), out.end());
        o.lse.push_back(max + std::log(sum));
      }
  return o;
}

struct AttentionInputs {
  explicit AttentionInputs(const AttentionLayout& l)
      : q(Random(l.rows() * l.ldq, 51)),
        k(Random(l.total * l.ldk, 52)),
        v(l.shape.latent ? k : Random(l.total * l.ldv, 53)),
        scale(static_cast<float>(1 / std::sqrt(static_cast<double>(l.shape.d)))) {}
  Numbers q, k, v;
  float scale;
};

// All but where things are. Sequences of a job may be parts of the layout's.
inline AttentionArgs AttentionArgsOf(const AttentionLayout& l, const std::vector<int32_t>& q_start,
                                     const std::vector<int32_t>& kv_start, float scale,
                                     DType dtype) {
  const AttentionShape& s = l.shape;
  return {.max_q_len = AttentionLayout::Longest(q_start),
          .max_kv_len = AttentionLayout::Longest(kv_start),
          .total_kv_len = kv_start.back(),
          .sequences = static_cast<int64_t>(s.sequences.size()),
          .heads = s.heads,
          .kv_heads = s.kv_heads,
          .d = s.d,
          .dv = s.dv,
          .ldq = l.ldq,
          .ldk = l.ldk,
          .ldv = l.ldv,
          .head_v = s.head_v(),
          .scale = scale,
          .dtype = dtype};
}

inline Case AttentionCase(const AttentionShape& s) {
  const auto layout = std::make_shared<AttentionLayout>(s);
  Case r;
  r.name = "attention " + s.name;
  r.kernel = s.kernel;
  r.rows = layout->rows();
  r.tolerance = 3e-6;
  r.bf16_tolerance = 6e-3;
  for (const Sequence& q : s.sequences) {
    const double pairs = q.q * (q.kv - q.q) + q.q * (q.q + 1) / 2.0;
    r.flops += 2 * pairs * s.heads * (s.d + s.dv);
    r.bytes += 4.0 * q.kv * s.kv_heads * (s.d + (s.latent ? 0 : s.dv)) +
               4.0 * q.q * s.heads * (s.d + s.dv);
  }
  r.has = [](const Table& t) { return t.attention != nullptr; };
  r.job = [=](DType dtype, int64_t begin, int64_t end) {
    // The same queries as a batch of other sequences: each with the part of its rows that is in
    // [begin, end).
    const AttentionLayout& l = *layout;
    std::vector<int32_t> q_start{0}, kv_start{0}, kv_rows;
    for (size_t i = 0; i < s.sequences.size(); ++i) {
      const int64_t from = std::clamp<int64_t>(begin, l.q_start[i], l.q_start[i + 1]);
      const int64_t to = std::clamp<int64_t>(end, l.q_start[i], l.q_start[i + 1]);
      const int64_t keys = from == to ? 0 : s.sequences[i].kv - (l.q_start[i + 1] - to);
      q_start.push_back(q_start.back() + static_cast<int32_t>(to - from));
      kv_start.push_back(kv_start.back() + static_cast<int32_t>(keys));
      for (int64_t j = 0; j < keys; ++j) kv_rows.push_back(l.kv_rows[l.kv_start[i] + j]);
    }
    kv_rows.push_back(0);
    const AttentionInputs in(l);
    const int64_t n = end - begin;
    const Array q(in.q, dtype), k(in.k, dtype), v = s.latent ? k : Array(in.v, dtype);
    const Array out(s.out_at + n * s.heads * s.dv, dtype), lse(n * s.heads, DType::kF32);
    const Array qs = Array::Of(q_start), ks = Array::Of(kv_start), rows = Array::Of(kv_rows);
    AttentionArgs a = AttentionArgsOf(l, q_start, kv_start, in.scale, dtype);
    a.q = q.At(begin * l.ldq);
    a.k = k.At(0);
    a.v = v.At(0);
    a.out = out.At(s.out_at);
    a.lse = lse.As();
    a.q_start = qs.As<int32_t>();
    a.kv_start = ks.As<int32_t>();
    a.kv_rows = rows.As<int32_t>();
    return Job{[=, hold = std::vector<Array>{q, k, v, qs, ks, rows}](
                   const Table& t, Stream stream) { return t.attention(a, stream); },
               [=] {
                 std::vector<float> x = out.Floats();
                 x.erase(x.begin(), x.begin() + s.out_at);
                 return Result{Rows(n, {x, lse.Floats()}), {}, out.Intact() && lse.Intact()};
               }};
  };
  r.rows_reference = [=] {
    const AttentionInputs in(*layout);
    const AttentionOutput o = AttentionReference(*layout, in.q, in.k, in.v, in.scale);
    Numbers all;
    for (int64_t n = 0; n < layout->rows(); ++n) {
      const Numbers row = Slice(o.out, n * s.heads * s.dv, (n + 1) * s.heads * s.dv);
      all.insert(all.end(), row.begin(), row.end());
      for (int64_t h = 0; h < s.heads; ++h) all.push_back(o.lse[n * s.heads + h]);
    }
    return all;
  };
  return r;
}

inline std::vector<Case> AttentionCases() {
  std::vector<Case> all;
  for (const AttentionShape& s : std::vector<AttentionShape>{
           {"one key", {{1, 1}}, 1, 1, 1, 1},
           {"latent", {{20, 20}, {1, 35}, {5, 70}, {0, 0}, {3, 3}}, 4, 1, 40, 32, true},
           {"shared prompt", {{9, 30}, {70, 91}, {1, 22}}, 4, 2, 24, 17, false, 21},
           {"long", {{3, 200}, {130, 140}}, 2, 2, 16, 20},
           {"groups", {{33, 65}, {2, 64}}, 12, 3, 13, 33},
           {"aligned", {{70, 70}, {1, 130}, {9, 64}}, 4, 2, 64, 48, false, 0, true},
           {"aligned latent", {{5, 70}, {1, 129}}, 6, 1, 72, 64, true, 0, true},
           // MLA of real models: tiles of 64 vectors, full and not, more than blocks; three chunks.
           {"wide latent", {{17, 150}, {1, 192}, {0, 0}, {5, 5}}, 16, 1, 576, 512, true, 3, true},
           {"wide latent, 128 heads", {{1, 140}, {2, 66}}, 128, 1, 576, 512, true, 0, true},
           // Warpgroups of 64 vectors, up to three to a tile; two tiles; bare decoding.
           {"64 channels",
            {{70, 91}, {1, 130}, {0, 0}, {101, 101}, {9, 64}},
            4,
            2,
            64,
            64,
            false,
            21,
            true},
           {"128 channels", {{40, 70}, {1, 129}, {3, 3}}, 4, 2, 128, 128, false, 0, true},
           {"wide", {{20, 33}, {1, 66}}, 2, 2, 192, 136, false, 0, true},
           // More keys than a split of the CUDA kernels has: sequences that blocks share, and not.
           {"splits", {{25, 2100}, {1, 300}}, 2, 1, 12, 9},
           {"splits, 64 channels", {{70, 2200}, {1, 4200}, {3, 390}}, 4, 2, 64, 64, false, 0, true},
           {"splits, latent", {{9, 2100}, {1, 2200}}, 16, 1, 576, 512, true, 0, true}})
    all.push_back(AttentionCase(s));
  // Results that cannot be stored by pairs.
  AttentionShape odd{"128 channels, odd out", {{20, 33}, {1, 66}}, 2, 2, 128, 128, false, 0, true};
  odd.kernel = "attention";
  odd.out_at = 1;
  all.push_back(AttentionCase(odd));
  return all;
}

inline std::vector<Case> AttentionBenchCases() {
  const std::vector<Sequence> decode(256, {1, 35}), train(64, {40, 40});
  std::vector<Case> all;
  all.push_back(AttentionCase({"decode 256 x 35 keys, MLA 4x40/32", decode, 4, 1, 40, 32, true}));
  all.push_back(AttentionCase({"train 64 x 40, MLA 4x40/32", train, 4, 1, 40, 32, true}));
  all.push_back(AttentionCase(
      {"decode 16 x 1024, GQA 12/2x64", std::vector<Sequence>(16, {1, 1024}), 12, 2, 64, 64}));
  all.push_back(AttentionCase(
      {"prefill 2 x 1024, GQA 12/2x64", std::vector<Sequence>(2, {1024, 1024}), 12, 2, 64, 64}));
  // On 16 bytes, as a model has them.
  for (const auto& [name, sequences] :
       {std::pair("decode 32 x 1024, GQA 16/8x128", std::vector<Sequence>(32, {1, 1024})),
        std::pair("prefill 2 x 2048, GQA 16/8x128", std::vector<Sequence>(2, {2048, 2048}))})
    all.push_back(AttentionCase({name, sequences, 16, 8, 128, 128, false, 0, true}));
  return all;
}

}  // namespace hone::kernels::testing
