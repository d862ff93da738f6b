#pragma once

#include "tests/kernels/case.h"

namespace hone::kernels::testing {

struct HeadShape {
  int64_t n, v, pad = 0;
  bool entropy = true;
};

inline Numbers HeadLogits(const HeadShape& s) {
  return Random(s.n * (s.v + s.pad), 81, 3);
}
inline Numbers InverseTemperatures(int64_t n) {
  Numbers t;
  for (int64_t i = 0; i < n; ++i) t.push_back(0.5 + static_cast<double>(i % 5) / 4);
  return t;
}
inline std::vector<int32_t> Targets(const HeadShape& s) {
  std::vector<int32_t> t;
  for (int64_t i = 0; i < s.n; ++i) t.push_back(static_cast<int32_t>((i * 31 + 7) % s.v));
  return t;
}

struct HeadOutput {
  Numbers logp, lse, entropy;
};
inline HeadOutput LogprobReference(const HeadShape& s, const Numbers& logits) {
  const Numbers t = InverseTemperatures(s.n);
  const std::vector<int32_t> targets = Targets(s);
  HeadOutput o;
  for (int64_t n = 0; n < s.n; ++n) {
    const double* row = logits.data() + n * (s.v + s.pad);
    double max = -1e300, sum = 0, mean = 0;
    for (int64_t i = 0; i < s.v; ++i) max = std::max(max, row[i] * t[n]);
    for (int64_t i = 0; i < s.v; ++i) sum += std::exp(row[i] * t[n] - max);
    const double lse = max + std::log(sum);
    for (int64_t i = 0; i < s.v; ++i) mean += std::exp(row[i] * t[n] - lse) * row[i] * t[n];
    o.logp.push_back(row[targets[n]] * t[n] - lse);
    o.lse.push_back(lse);
    o.entropy.push_back(lse - mean);
  }
  return o;
}

inline Case LogprobCase(const HeadShape& s) {
  const int64_t ld = s.v + s.pad;
  Case r;
  r.name = "logprob " + std::to_string(s.n) + "x" + std::to_string(s.v);
  r.rows = s.n;
  r.bytes = 4.0 * s.n * s.v;
  r.has = [](const Table& t) { return t.logprob != nullptr; };
  r.job = [=](DType, int64_t begin, int64_t end) {
    const int64_t n = end - begin;
    const Array logits(HeadLogits(s), DType::kF32),
        temperature(InverseTemperatures(s.n), DType::kF32);
    const Array targets = Array::Of(Targets(s));
    const Array logp(n, DType::kF32), lse(n, DType::kF32), entropy(n, DType::kF32);
    const LogprobArgs a{.logits = logits.As() + begin * ld,
                        .targets = targets.As<int32_t>() + begin,
                        .inv_temperature = temperature.As() + begin,
                        .logp = logp.As(),
                        .lse = lse.As(),
                        .entropy = entropy.As(),
                        .n = n,
                        .v = s.v,
                        .ldl = ld};
    return Job{[=, hold = std::vector<Array>{logits, temperature, targets}](
                   const Table& t, Stream stream) { return t.logprob(a, stream); },
               [=] {
                 return Result{Rows(n, {logp.Floats(), lse.Floats(), entropy.Floats()}),
                               {},
                               logp.Intact() && lse.Intact() && entropy.Intact()};
               }};
  };
  r.rows_reference = [=] {
    const HeadOutput o = LogprobReference(s, HeadLogits(s));
    Numbers all;
    for (int64_t n = 0; n < s.n; ++n) all.insert(all.end(), {o.logp[n], o.lse[n], o.entropy[n]});
    return all;
  };
  return r;
}

inline Case LogprobBackwardCase(const HeadShape& s) {
  const int64_t ld = s.v + s.pad;
  const auto coef = [=] { return Random(s.n, 82); };
  const auto dentropy = [=] { return Random(s.n, 83); };
  Case r;
  r.name = "logprob_backward " + std::to_string(s.n) + "x" + std::to_string(s.v) +
           (s.entropy ? " entropy" : "");
  r.rows = s.n;
  r.bf16_tolerance = 5e-3;
  r.bytes = 8.0 * s.n * s.v;
  r.has = [](const Table& t) { return t.logprob_backward != nullptr; };
  r.job = [=](DType dtype, int64_t begin, int64_t end) {
    const int64_t n = end - begin;
    const HeadOutput o = LogprobReference(s, HeadLogits(s));
    const Array logits(Slice(HeadLogits(s), begin * ld, end * ld), DType::kF32);
    const Array temperature(InverseTemperatures(s.n), DType::kF32), targets = Array::Of(Targets(s));
    const Array lse(o.lse, DType::kF32), entropy(o.entropy, DType::kF32);
    const Array cx(coef(), DType::kF32), dx(dentropy(), DType::kF32);
    // f32 in place, as the head does.
    const Array out = dtype == DType::kF32 ? logits : Array(n * ld, dtype);
    const LogprobBackwardArgs b{.forward = {.logits = logits.As(),
                                            .targets = targets.As<int32_t>() + begin,
                                            .inv_temperature = temperature.As() + begin,
                                            .logp = nullptr,
                                            .lse = lse.As() + begin,
                                            .entropy = entropy.As() + begin,
                                            .n = n,
                                            .v = s.v,
                                            .ldl = ld},
                                .coef = cx.As() + begin,
                                .dentropy = s.entropy ? dx.As() + begin : nullptr,
                                .dlogits = out.At(0),
                                .width = ld,
                                .dtype = dtype};
    return Job{[=, hold = std::vector<Array>{temperature, targets, lse, entropy, cx, dx, logits}](
                   const Table& t, Stream stream) { return t.logprob_backward(b, stream); },
               [=] {
                 return Result{out.Floats(), {}, out.Intact()};
               }};
  };
  r.rows_reference = [=] {
    const Numbers c = coef(), d = dentropy();
    return Gradient(
        [&](const Numbers& x) {
          const HeadOutput o = LogprobReference(s, x);
          return Dot(o.logp, c) + (s.entropy ? Dot(o.entropy, d) : 0);
        },
        HeadLogits(s));
  };
  return r;
}

// Settings that rows of a sampling batch cycle through.
struct SampleRow {
  float top_p;
  int32_t top_k;
  uint8_t greedy;
};
inline SampleRow SampleSettings(int64_t i) {
  const SampleRow all[] = {{1, 0, 0}, {0.9f, 0, 0},  {1, 5, 0},      {0.5f, 7, 0},
                           {1, 0, 1}, {1e-6f, 0, 0}, {1, 1000000, 0}};
  return all[i % 7];
}

inline Case SampleCase(const HeadShape& s, bool plain = false) {
  const int64_t ld = s.v + s.pad;
  Case r;
  r.name = "sample " + std::to_string(s.n) + "x" + std::to_string(s.v);
  r.rows = s.n;
  r.bytes = 4.0 * s.n * s.v;
  r.has = [](const Table& t) { return t.sample != nullptr; };
  r.job = [=](DType, int64_t begin, int64_t end) {
    const int64_t n = end - begin;
    const Array logits(HeadLogits(s), DType::kF32),
        temperature(InverseTemperatures(s.n), DType::kF32);
    std::vector<float> top_p;
    std::vector<int32_t> top_k;
    std::vector<uint8_t> greedy;
    std::vector<uint64_t> seed, position;
    for (int64_t i = begin; i < end; ++i) {
      const SampleRow row = plain ? SampleRow{1, 0, 0} : SampleSettings(i);
      top_p.push_back(row.top_p);
      top_k.push_back(row.top_k);
      greedy.push_back(row.greedy);
      seed.push_back(0x123456789abcdef0ull * (i + 1));
      position.push_back((uint64_t{1} << 33) + i % 3);
    }
    const Array px = Array::Of(top_p), kx = Array::Of(top_k), gx = Array::Of(greedy),
                sx = Array::Of(seed), ox = Array::Of(position);
    const Array token = Array::Of(std::vector<int32_t>(n, -1)), logp(n, DType::kF32),
                entropy(n, DType::kF32), mass(n, DType::kF32);
    const SampleArgs a{.logits = logits.As() + begin * ld,
                       .inv_temperature = temperature.As() + begin,
                       .top_p = px.As(),
                       .top_k = kx.As<int32_t>(),
                       .greedy = gx.As<uint8_t>(),
                       .seed = sx.As<uint64_t>(),
                       .position = ox.As<uint64_t>(),
                       .token = token.As<int32_t>(),
                       .logp = logp.As(),
                       .entropy = entropy.As(),
                       .kept_mass = mass.As(),
                       .n = n,
                       .v = s.v,
                       .ldl = ld};
    return Job{[=, hold = std::vector<Array>{logits, temperature, px, kx, gx, sx, ox}](
                   const Table& t, Stream stream) { return t.sample(a, stream); },
               [=] {
                 std::vector<float> ids;
                 for (int64_t i = 0; i < n; ++i)
                   ids.push_back(static_cast<float>(token.As<int32_t>()[i]));
                 return Result{
                     Rows(n, {ids, logp.Floats(), entropy.Floats(), mass.Floats()}),
                     {},
                     token.Intact() && logp.Intact() && entropy.Intact() && mass.Intact()};
               }};
  };
  return r;  // reference: sample_test.cc
}

inline std::vector<Case> HeadCases() {
  std::vector<Case> all;
  for (const HeadShape& s :
       std::vector<HeadShape>{{1, 1}, {9, 120, 8}, {6, 77, 1, false}, {3, 1000, 24}}) {
    all.push_back(LogprobCase(s));
    all.push_back(SampleCase(s));
    if (s.v < 500) all.push_back(LogprobBackwardCase(s));
  }
  all.push_back(SampleCase({21, 300}));
  // More ids than a CUDA block keeps on the chip.
  all.push_back(LogprobCase({3, 9000, 1}));
  all.push_back(SampleCase({9, 9000, 4}));
  return all;
}

inline std::vector<Case> HeadBenchCases() {
  return {LogprobCase({2600, 120, 8}),     LogprobBackwardCase({2600, 120, 8, false}),
          SampleCase({256, 120, 8}, true), SampleCase({256, 120, 8}),
          LogprobCase({64, 32000}),        SampleCase({64, 32000}, true),
          SampleCase({64, 32000})};
}

}  // namespace hone::kernels::testing
