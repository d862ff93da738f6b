#pragma once

// Rotated channels; gradients of MLA's keys, whose rotated part is one for all heads.

#include "tests/kernels/case.h"

namespace hone::kernels::testing {

struct RopeShape {
  int64_t n, heads, d, gap;
  bool interleaved, inverse;
  bool shared = false;  // all heads from one, into another array; else in place
};

inline Case RopeCase(const RopeShape& s) {
  const int64_t head = s.d + s.gap, ld = s.heads * head, max = 37;
  const int64_t head_x = s.shared ? 0 : head, ldx = s.shared ? s.d + 3 : ld;
  const auto x = [=] { return Random(s.n * ldx, 21); };
  Numbers table;
  for (int64_t p = 0; p < max; ++p)
    for (int64_t j = 0; j < s.d / 2; ++j) {
      const double angle = p * std::pow(100.0, -2.0 * j / s.d);
      table.push_back(static_cast<float>(std::cos(angle)));
      table.push_back(static_cast<float>(std::sin(angle)));
    }
  std::vector<int32_t> positions(s.n);
  for (int64_t i = 0; i < s.n; ++i) positions[i] = static_cast<int32_t>((i * 7) % max);
  Case r;
  r.name = "rope " + std::to_string(s.n) + "x" + std::to_string(s.heads) + "x" +
           std::to_string(s.d) + (s.interleaved ? " interleaved" : "") +
           (s.inverse ? " inverse" : "") + (s.shared ? " shared" : "");
  r.rows = s.n;
  r.bf16_tolerance = 4e-3;
  r.bytes = 8.0 * s.n * s.heads * s.d;
  r.has = [](const Table& t) { return t.rope != nullptr; };
  r.job = [=](DType dtype, int64_t begin, int64_t end) {
    const int64_t n = end - begin;
    // What lies between the heads stays.
    const Array xx(Slice(x(), begin * ldx, end * ldx), dtype), tx(table, DType::kF32);
    const Array out = s.shared ? Array(Numbers(n * ld, 0.5), dtype) : xx;
    const Array px =
        Array::Of(std::vector<int32_t>(positions.begin() + begin, positions.begin() + end));
    const RopeArgs a{.x = xx.At(0),
                     .out = out.At(0),
                     .table = tx.As(),
                     .positions = px.As<int32_t>(),
                     .n = n,
                     .heads = s.heads,
                     .d = s.d,
                     .ldx = ldx,
                     .head_x = head_x,
                     .ldo = ld,
                     .head_o = head,
                     .interleaved = s.interleaved,
                     .inverse = s.inverse,
                     .dtype = dtype};
    return Job{[=, hold = std::vector<Array>{xx, tx, px}](const Table& t, Stream stream) {
                 return t.rope(a, stream);
               },
               [=] {
                 return Result{out.Floats(), {}, out.Intact()};
               }};
  };
  r.rows_reference = [=] {
    const Numbers v = x();
    Numbers out = s.shared ? Numbers(s.n * ld, 0.5) : v;
    for (int64_t n = 0; n < s.n; ++n)
      for (int64_t h = 0; h < s.heads; ++h)
        for (int64_t j = 0; j < s.d / 2; ++j) {
          const int64_t first = s.interleaved ? 2 * j : j;
          const int64_t second = s.interleaved ? 2 * j + 1 : j + s.d / 2;
          const double cos = table[(positions[n] * s.d / 2 + j) * 2];
          const double sin = table[(positions[n] * s.d / 2 + j) * 2 + 1] * (s.inverse ? -1 : 1);
          const double a = v[n * ldx + h * head_x + first], b = v[n * ldx + h * head_x + second];
          out[n * ld + h * head + first] = a * cos - b * sin;
          out[n * ld + h * head + second] = a * sin + b * cos;
        }
    return out;
  };
  return r;
}

struct MlaShape {
  int64_t n, heads, nope, rope, value;
};

inline Case MlaKeysBackwardCase(const MlaShape& s) {
  const int64_t d = s.nope + s.rope, wide = s.nope + s.value;
  const int64_t lddk = s.heads * d + 3, lddv = s.heads * s.value + 4, ldo = s.rope + 5;
  const auto dk = [=] { return Random(s.n * lddk, 62); };
  const auto dv = [=] { return Random(s.n * lddv, 63); };
  Case r;
  r.name = "mla_keys_backward " + std::to_string(s.n) + "x" + std::to_string(s.heads) + "x" +
           std::to_string(s.nope) + "+" + std::to_string(s.rope) + "/" + std::to_string(s.value);
  r.rows = s.n;
  r.bf16_tolerance = 4e-3;
  r.bytes = 4.0 * s.n * (s.heads * (d + s.value + wide) + s.rope);
  r.has = [](const Table& t) { return t.mla_keys_backward != nullptr; };
  r.job = [=](DType dtype, int64_t begin, int64_t end) {
    const int64_t rows = end - begin;
    const Array kx(dk(), DType::kF32), vx(dv(), DType::kF32);
    const Array dkv(rows * s.heads * wide, dtype), drope(rows * ldo, dtype);
    return Job{[=](const Table& t, Stream stream) {
                 return t.mla_keys_backward({.dk = kx.As() + begin * lddk,
                                             .dv = vx.As() + begin * lddv,
                                             .dkv = dkv.At(0),
                                             .drope = drope.At(0),
                                             .n = rows,
                                             .heads = s.heads,
                                             .nope = s.nope,
                                             .rope = s.rope,
                                             .value = s.value,
                                             .lddk = lddk,
                                             .lddv = lddv,
                                             .ldo = ldo,
                                             .dtype = dtype},
                                            stream);
               },
               [=] {
                 std::vector<float> rope;
                 bool intact = dkv.Intact() && drope.Intact();
                 for (int64_t i = 0; i < rows * ldo; ++i) {
                   if (i % ldo < s.rope) rope.push_back(drope.Get(i));
                   if (i % ldo >= s.rope) intact &= std::isnan(drope.Get(i));
                 }
                 return Result{Rows(rows, {dkv.Floats(), rope}), {}, intact};
               }};
  };
  r.rows_reference = [=] {
    const Numbers k = dk(), v = dv();
    Numbers out;
    for (int64_t i = 0; i < s.n; ++i) {
      Numbers rope(s.rope, 0.0);
      for (int64_t h = 0; h < s.heads; ++h) {
        const Numbers key = Slice(k, i * lddk + h * d, i * lddk + (h + 1) * d);
        const Numbers value = Slice(v, i * lddv + h * s.value, i * lddv + (h + 1) * s.value);
        out.insert(out.end(), key.begin(), key.begin() + s.nope);
        out.insert(out.end(), value.begin(), value.end());
        for (int64_t c = 0; c < s.rope; ++c) rope[c] += key[s.nope + c];
      }
      out.insert(out.end(), rope.begin(), rope.end());
    }
    return out;
  };
  return r;
}

inline std::vector<Case> RopeCases() {
  std::vector<Case> all;
  for (bool interleaved : {false, true})
    for (bool inverse : {false, true})
      for (const RopeShape& s : std::vector<RopeShape>{{9, 1, 8, 0, interleaved, inverse},
                                                       {33, 4, 8, 32, interleaved, inverse},
                                                       {5, 3, 70, 2, interleaved, inverse},
                                                       {3, 2, 2, 0, interleaved, inverse},
                                                       {9, 4, 8, 12, interleaved, inverse, true},
                                                       {5, 3, 70, 2, interleaved, inverse, true}})
        all.push_back(RopeCase(s));
  for (const MlaShape& s : std::vector<MlaShape>{{1, 1, 1, 1, 1},
                                                 {37, 4, 12, 8, 10},
                                                 {9, 3, 33, 70, 21},
                                                 {5, 16, 128, 64, 128},
                                                 {600, 2, 8, 2, 16}})
    all.push_back(MlaKeysBackwardCase(s));
  return all;
}

inline std::vector<Case> RopeBenchCases() {
  return {RopeCase({2600, 4, 8, 32, true, false}), RopeCase({2600, 12, 64, 0, false, false}),
          MlaKeysBackwardCase({2600, 16, 128, 64, 128})};
}

}  // namespace hone::kernels::testing
