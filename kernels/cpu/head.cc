// Log-probabilities, their gradient, and sampling. One row function for all of them, so that the
// log-probability that a sampler reports is, bit for bit, the one that training computes.

#include "kernels/cpu/kernels_isa.h"
#include "kernels/cpu/select.h"
#include "kernels/cpu/simd.h"
#include "kernels/cpu/team.h"
#include "kernels/philox.h"

namespace hone::kernels::cpu::HONE_ISA {
namespace {

struct RowStats {
  float max;  // of z = logits * inv_temperature
  float lse;
  float entropy;
};

// f(lane group, i, lanes) over [0, n) in blocks of 4 x 16: four independent sums hide the latency
// of one.
template <typename F>
inline __attribute__((always_inline)) void ForBlocks(int64_t n, const F& f) {
  int64_t i = 0;
  for (; i + 64 <= n; i += 64) {
    HONE_UNROLL for (int j = 0; j < 4; ++j) f(j, i + j * kLanes, Full{});
  }
  for (int j = 0; i < n; i += kLanes, ++j) {
    if (n - i >= kLanes) {
      f(j, i, Full{});
    } else {
      f(j, i, Part(n - i));
    }
  }
}

// x in the lanes that are meant, `instead` in the others.
inline Vec Real(Vec x, Full, Vec) {
  return x;
}
inline Vec Real(Vec x, const Part& lanes, Vec instead) {
  return Select(MaskOf(lanes), x, instead);
}

RowStats StatsOf(const float* logits, float inv_temperature, int64_t v) {
  const Vec scale = Set(inv_temperature), low = Set(-__builtin_inff());
  Vec top[4] = {low, low, low, low};
  ForBlocks(v, [&](int j, int64_t i, auto lanes) {
    top[j] = Max(top[j], Real(Load(logits + i, lanes) * scale, lanes, low));
  });
  const float max = MaxOf(Max(Max(top[0], top[1]), Max(top[2], top[3])));
  const Vec m = Set(max);
  Vec sum[4] = {Zero(), Zero(), Zero(), Zero()}, dot[4] = {Zero(), Zero(), Zero(), Zero()};
  ForBlocks(v, [&](int j, int64_t i, auto lanes) {
    const Vec z = Load(logits + i, lanes) * scale - m;
    const Vec e = Real(Exp(z), lanes, Zero());
    sum[j] = sum[j] + e;
    // A forbidden id has z = -inf and e = 0: 0 times a large number, not 0 times infinity.
    dot[j] = Fma(e, Max(Set(-100.0f), z), dot[j]);
  });
  const float total = Sum((sum[0] + sum[1]) + (sum[2] + sum[3]));
  const float log = Log(total);
  return {max, max + log, log - Sum((dot[0] + dot[1]) + (dot[2] + dot[3])) / total};
}

inline float LogprobOf(const float* logits, float inv_temperature, int64_t id, float lse) {
  return logits[id] * inv_temperature - lse;
}

template <typename T>
void BackwardRow(const LogprobBackwardArgs& b, int64_t n, T* out) {
  const LogprobArgs& a = b.forward;
  const float* logits = a.logits + n * a.ldl;
  const Vec scale = Set(a.inv_temperature[n]), lse = Set(a.lse[n]);
  const Vec coef = Set(b.coef[n]), dentropy = Set(b.dentropy == nullptr ? 0 : b.dentropy[n]);
  const Vec entropy = Set(b.dentropy == nullptr ? 0 : a.entropy[n]);
  const VecI target = SetI(a.targets[n]);
  ForLanes(a.v, [&](int64_t i, auto lanes) {
    const Vec log = Fma(Load(logits + i, lanes), scale, Zero() - lse);
    const Vec p = Exp(log);
    const Mask hit = Equal(Iota() + SetI(static_cast<int32_t>(i)), target);
    Vec d = coef * (Select(hit, Set(1.0f), Zero()) - p);
    if (b.dentropy != nullptr) d = d - dentropy * p * (Max(Set(-100.0f), log) + entropy);
    Store(out + i, d * scale, lanes);
  });
  ForLanes(b.width - a.v, [&](int64_t i, auto lanes) { Store(out + a.v + i, Zero(), lanes); });
}

int64_t Argmax(const float* x, int64_t n) {
  Vec top = Set(-__builtin_inff());
  ForLanes(n, [&](int64_t i, auto lanes) { top = Max(top, Real(Load(x + i, lanes), lanes, top)); });
  const Vec largest = Set(MaxOf(top));
  int64_t found = n;
  ForLanes(n, [&](int64_t i, auto lanes) {
    if (found < n) return;
    const int lane = FirstLane(Equal(Load(x + i, lanes), largest));
    if (i + lane < n && lane < kLanes) found = i + lane;
  });
  return found < n ? found : 0;  // not a number anywhere
}

// -log u for ids [16 q + ...): e[64] of the ids from `id`, a multiple of 64.
void NoiseBlock(uint64_t seed, uint64_t position, int64_t id, float* e) {
  VecI c0 = SetI(static_cast<int32_t>(position)), c1 = SetI(static_cast<int32_t>(position >> 32));
  VecI c2 = Iota() + SetI(static_cast<int32_t>(id / 4)), c3 = SetI(0);
  uint32_t k0 = static_cast<uint32_t>(seed), k1 = static_cast<uint32_t>(seed >> 32);
  const VecI m0 = SetI(static_cast<int32_t>(kPhiloxM0)), m1 = SetI(static_cast<int32_t>(kPhiloxM1));
  for (int round = 0; round < kPhiloxRounds; ++round) {
    VecI hi0, lo0, hi1, lo1;
    Multiply(c0, m0, &hi0, &lo0);
    Multiply(c2, m1, &hi1, &lo1);
    c0 = hi1 ^ c1 ^ SetI(static_cast<int32_t>(k0));
    c2 = hi0 ^ c3 ^ SetI(static_cast<int32_t>(k1));
    c1 = lo1;
    c3 = lo0;
    k0 += kPhiloxW0;
    k1 += kPhiloxW1;
  }
  const VecI words[4] = {c0, c1, c2, c3};
  float t[4][kLanes];
  for (int w = 0; w < 4; ++w) {
    const Vec u = (ToFloat(ShiftRight<9>(words[w])) + Set(0.5f)) * Set(0x1p-23f);
    Store(t[w], Zero() - Log(u));
  }
  for (int i = 0; i < 64; ++i) e[i] = t[i % 4][i / 4];
}

// argmax over all ids of p / e.
int64_t SampleAll(const float* logits, float inv_temperature, float max, int64_t v, uint64_t seed,
                  uint64_t position) {
  float e[64];
  Vec best = Set(-1.0f), ids = Zero();
  const Vec scale = Set(inv_temperature), m = Set(max);
  for (int64_t block = 0; block < v; block += 64) {
    NoiseBlock(seed, position, block, e);
    ForLanes(v - block < 64 ? v - block : 64, [&](int64_t i, auto lanes) {
      const Vec p = Exp(Load(logits + block + i, lanes) * scale - m);
      const Vec score = Real(p / Load(e + i), lanes, Set(-1.0f));
      const Mask better = Less(best, score);
      best = Select(better, score, best);
      ids = Select(better, ToFloat(Iota() + SetI(static_cast<int32_t>(block + i))), ids);
    });
  }
  float scores[kLanes], id[kLanes];
  Store(scores, best);
  Store(id, ids);
  int winner = 0;
  for (int i = 1; i < kLanes; ++i)
    if (scores[i] > scores[winner] || (scores[i] == scores[winner] && id[i] < id[winner]))
      winner = i;
  return static_cast<int64_t>(id[winner]);
}

int64_t SampleKept(const float* p, const int32_t* kept, int64_t count, uint64_t seed,
                   uint64_t position) {
  float best = -1;
  int32_t winner = kept[0];
  for (int64_t i = 0; i < count; ++i) {
    const int32_t id = kept[i];
    const float u = UniformOf(SamplerWord(seed, position, static_cast<uint32_t>(id)));
    const float score = p[id] / -Log(u);
    if (score > best || (score == best && id < winner)) {
      best = score;
      winner = id;
    }
  }
  return winner;
}

void SampleRow(const SampleArgs& a, int64_t n) {
  const float* logits = a.logits + n * a.ldl;
  const float t = a.inv_temperature[n];
  const RowStats stats = StatsOf(logits, t, a.v);
  int64_t token;
  a.kept_mass[n] = 1;
  if (a.greedy[n] != 0) {
    token = Argmax(logits, a.v);
  } else if (a.top_p[n] >= 1 && (a.top_k[n] <= 0 || a.top_k[n] >= a.v)) {
    token = SampleAll(logits, t, stats.max, a.v, a.seed[n], a.position[n]);
  } else {
    char* memory = static_cast<char*>(Scratch(SelectMemory(a.v) + 8 * a.v + 128));
    float* p = reinterpret_cast<float*>(memory + SelectMemory(a.v));
    int32_t* kept = reinterpret_cast<int32_t*>(p + a.v);
    ForLanes(a.v, [&](int64_t i, auto lanes) {
      Store(p + i, Exp(Load(logits + i, lanes) * Set(t) - Set(stats.max)), lanes);
    });
    const int64_t count = SelectIds(p, a.v, a.top_k[n], a.top_p[n], memory, kept, a.kept_mass + n);
    token = SampleKept(p, kept, count, a.seed[n], a.position[n]);
  }
  a.token[n] = static_cast<int32_t>(token);
  a.logp[n] = LogprobOf(logits, t, token, stats.lse);
  a.entropy[n] = stats.entropy;
}

}  // namespace

Error Logprob(const LogprobArgs& a, Stream stream) {
  ParallelFor(stream, a.n, RowGrain(8 * a.v), [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
      const float* logits = a.logits + n * a.ldl;
      const RowStats stats = StatsOf(logits, a.inv_temperature[n], a.v);
      a.logp[n] = LogprobOf(logits, a.inv_temperature[n], a.targets[n], stats.lse);
      a.lse[n] = stats.lse;
      if (a.entropy != nullptr) a.entropy[n] = stats.entropy;
    }
  });
  return nullptr;
}

Error LogprobBackward(const LogprobBackwardArgs& b, Stream stream) {
  if (b.width < b.forward.v) return "logprob_backward: width is less than v";
  if (b.dentropy != nullptr && b.forward.entropy == nullptr)
    return "logprob_backward: entropy is missing";
  WithType(b.dtype, [&](auto t) {
    using T = decltype(t);
    ParallelFor(stream, b.forward.n, RowGrain(4 * b.width), [&](int64_t begin, int64_t end) {
      for (int64_t n = begin; n < end; ++n)
        BackwardRow(b, n, static_cast<T*>(b.dlogits) + n * b.width);
    });
  });
  return nullptr;
}

Error Sample(const SampleArgs& a, Stream stream) {
  ParallelFor(stream, a.n, RowGrain(16 * a.v), [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) SampleRow(a, n);
  });
  return nullptr;
}

}  // namespace hone::kernels::cpu::HONE_ISA
