// Mixture of experts: routing, the sort by expert, and the weighted way back.

#include "kernels/cpu/kernels_isa.h"
#include "kernels/cpu/simd.h"
#include "kernels/cpu/team.h"

namespace hone::kernels::cpu::HONE_ISA {
namespace {

const float kLow = -__builtin_inff();

void Scores(const float* logits, float* scores, int64_t e, Scoring scoring) {
  if (scoring == Scoring::kSigmoid) {
    ForLanes(e, [&](int64_t i, auto lanes) {
      Store(scores + i, Sigmoid(Load(logits + i, lanes)), lanes);
    });
    return;
  }
  float top = kLow;
  for (int64_t i = 0; i < e; ++i) top = logits[i] > top ? logits[i] : top;
  Vec sum = Zero();
  ForLanes(e, [&](int64_t i, auto lanes) {
    const Vec p = Exp(Load(logits + i, lanes) - Set(top));
    Store(scores + i, p, lanes);
    sum = sum + Select(FirstLanes(e - i), p, Zero());
  });
  const Vec total = Set(Sum(sum));
  ForLanes(
      e, [&](int64_t i, auto lanes) { Store(scores + i, Load(scores + i, lanes) / total, lanes); });
}

// Index of the first largest value below n. `values` is readable and kLow up to a multiple of 16.
int64_t Largest(const float* values, int64_t n) {
  Vec top = Set(kLow);
  for (int64_t i = 0; i < n; i += kLanes) top = Max(top, Load(values + i));
  const Vec largest = Set(MaxOf(top));
  for (int64_t i = 0; i < n; i += kLanes) {
    const int lane = FirstLane(Equal(Load(values + i), largest));
    if (lane < kLanes) return i + lane;
  }
  return n;  // NaN among them
}

// Takes the largest of `values` and rules it out. What is not a number, or ruled out already, comes
// last, by rising id, so that K different ids come out of any input.
int64_t TakeLargest(float* values, int64_t n, const int32_t* taken, int64_t count) {
  int64_t best = Largest(values, n);
  if (best >= n || values[best] == kLow) {
    for (best = 0; best < n; ++best) {
      bool free = true;
      for (int64_t i = 0; i < count; ++i) free = free && taken[i] != best;
      if (free) break;
    }
  }
  values[best] = kLow;
  return best;
}

// Rules out the experts of all but the best groups.
void LimitGroups(const RouteArgs& a, float* choice, float* group, int32_t* kept) {
  const int64_t size = a.e / a.groups;
  for (int64_t g = 0; g < a.groups; ++g) {
    float first = kLow, second = kLow;
    for (int64_t i = g * size; i < (g + 1) * size; ++i) {
      if (choice[i] > first) {
        second = first;
        first = choice[i];
      } else if (choice[i] > second) {
        second = choice[i];
      }
    }
    group[g] = a.group_score == GroupScore::kMax || size == 1 ? first : first + second;
  }
  for (int64_t g = a.groups; g % kLanes != 0; ++g) group[g] = kLow;
  for (int64_t i = 0; i < a.top_groups; ++i)
    kept[i] = static_cast<int32_t>(TakeLargest(group, a.groups, kept, i));
  for (int64_t g = 0; g < a.groups; ++g) {
    bool keep = false;
    for (int64_t i = 0; i < a.top_groups; ++i) keep = keep || kept[i] == g;
    if (keep) continue;
    for (int64_t i = g * size; i < (g + 1) * size; ++i) choice[i] = kLow;
  }
}

}  // namespace

Error Route(const RouteArgs& a, Stream stream) {
  if (a.k > a.e) return "route: more experts per token than experts";
  if (a.groups > 1 &&
      (a.e % a.groups != 0 || a.top_groups > a.groups || a.top_groups * (a.e / a.groups) < a.k))
    return "route: groups do not divide the experts, or the best groups hold too few";
  ParallelFor(stream, a.n, RowGrain(a.e * (8 + a.k)), [&](int64_t begin, int64_t end) {
    float* choice = static_cast<float*>(Scratch(4 * (3 * a.e + 3 * kLanes)));
    float* group = choice + (a.e + kLanes - 1) / kLanes * kLanes;
    int32_t* kept = reinterpret_cast<int32_t*>(group + (a.e + kLanes - 1) / kLanes * kLanes);
    for (int64_t n = begin; n < end; ++n) {
      float* scores = a.scores + n * a.e;
      Scores(a.logits + n * a.e, scores, a.e, a.scoring);
      ForLanes(a.e, [&](int64_t i, auto lanes) {
        Vec s = Load(scores + i, lanes);
        if (a.bias != nullptr) s = s + Load(a.bias + i, lanes);
        Store(choice + i, Select(FirstLanes(a.e - i), s, Set(kLow)));
      });
      if (a.groups > 1) LimitGroups(a, choice, group, kept);
      int32_t* experts = a.experts + n * a.k;
      float* weights = a.weights + n * a.k;
      float sum = 0;
      for (int64_t k = 0; k < a.k; ++k) {
        experts[k] = static_cast<int32_t>(TakeLargest(choice, a.e, experts, k));
        weights[k] = scores[experts[k]];
        sum += weights[k];
      }
      // Sigmoids of very low logits may all be 0.
      const float factor = a.normalize ? a.scale / (sum + 1e-20f) : a.scale;
      for (int64_t k = 0; k < a.k; ++k) weights[k] *= factor;
    }
  });
  return nullptr;
}

Error RouteBackward(const RouteBackwardArgs& b, Stream stream) {
  const RouteArgs& a = b.forward;
  ParallelFor(stream, a.n, RowGrain(a.e * 8), [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
      const float* s = a.scores + n * a.e;
      const int32_t* experts = a.experts + n * a.k;
      const float* dw = b.dweights + n * a.k;
      float* d = b.dlogits + n * a.e;  // first the gradient of the scores
      for (int64_t i = 0; i < a.e; ++i) d[i] = 0;
      if (b.balance != nullptr) {
        const float* f = b.balance + b.sequence_of[n] * a.e;
        float sum = 0, dot = 0;
        for (int64_t i = 0; i < a.e; ++i) {
          sum += s[i];
          dot = __builtin_fmaf(f[i], s[i], dot);
        }
        for (int64_t i = 0; i < a.e; ++i) d[i] = (f[i] - dot / sum) / sum;
      }
      if (a.normalize) {
        float sum = 0, dot = 0;
        for (int64_t k = 0; k < a.k; ++k) {
          sum += s[experts[k]];
          dot = __builtin_fmaf(dw[k], s[experts[k]], dot);
        }
        sum += 1e-20f;
        for (int64_t k = 0; k < a.k; ++k) d[experts[k]] += a.scale / sum * (dw[k] - dot / sum);
      } else {
        for (int64_t k = 0; k < a.k; ++k) d[experts[k]] += a.scale * dw[k];
      }
      if (a.scoring == Scoring::kSigmoid) {
        for (int64_t i = 0; i < a.e; ++i) d[i] *= s[i] * (1 - s[i]);
      } else {
        float dot = 0;
        for (int64_t i = 0; i < a.e; ++i) dot = __builtin_fmaf(d[i], s[i], dot);
        for (int64_t i = 0; i < a.e; ++i) d[i] = s[i] * (d[i] - dot);
      }
    }
  });
  return nullptr;
}

Error Permute(const PermuteArgs& a, Stream) {
  // Counts, then starts, then one pass in order: a few ns per choice, so one thread does it.
  int32_t* next = static_cast<int32_t*>(Scratch(4 * (a.e + 1)));
  for (int64_t e = 0; e < a.e; ++e) next[e] = 0;
  for (int64_t i = 0; i < a.n * a.k; ++i) {
    if (a.experts[i] < 0 || a.experts[i] >= a.e) return "permute: an expert out of range";
    ++next[a.experts[i]];
  }
  int32_t start = 0;
  for (int64_t e = 0; e < a.e; ++e) {
    a.offsets[e] = start;
    start += next[e];
    next[e] = a.offsets[e];
  }
  a.offsets[a.e] = start;
  for (int64_t n = 0; n < a.n; ++n)
    for (int64_t k = 0; k < a.k; ++k) {
      const int32_t row = next[a.experts[n * a.k + k]]++;
      a.token_of[row] = static_cast<int32_t>(n);
      a.row_of[n * a.k + k] = row;
    }
  return nullptr;
}

Error Combine(const CombineArgs& a, Stream stream) {
  WithType(a.dtype, [&](auto t) {
    using T = decltype(t);
    const T* y = static_cast<const T*>(a.y);
    ParallelFor(stream, a.n, RowGrain(a.k * a.c), [&](int64_t begin, int64_t end) {
      for (int64_t n = begin; n < end; ++n) {
        const int32_t* rows = a.row_of + n * a.k;
        T* out = static_cast<T*>(a.out) + n * a.c;
        const T* add = a.add == nullptr ? nullptr : static_cast<const T*>(a.add) + n * a.c;
        ForLanes(a.c, [&](int64_t i, auto lanes) {
          Vec sum = add == nullptr ? Zero() : Load(add + i, lanes);
          for (int64_t k = 0; k < a.k; ++k) {
            const Vec w = Set(a.weights == nullptr ? 1.0f : a.weights[n * a.k + k]);
            sum = Fma(w, Load(y + rows[k] * a.c + i, lanes), sum);
          }
          Store(out + i, sum, lanes);
        });
      }
    });
  });
  return nullptr;
}

Error CombineBackward(const CombineBackwardArgs& a, Stream stream) {
  WithType(a.dtype, [&](auto t) {
    using T = decltype(t);
    const T* y = static_cast<const T*>(a.y);
    ParallelFor(stream, a.n, RowGrain(2 * a.k * a.c), [&](int64_t begin, int64_t end) {
      for (int64_t n = begin; n < end; ++n) {
        const T* dout = static_cast<const T*>(a.dout) + n * a.c;
        for (int64_t k = 0; k < a.k; ++k) {
          const int64_t row = a.row_of[n * a.k + k];
          T* dy = static_cast<T*>(a.dy) + row * a.c;
          const Vec w = Set(a.weights == nullptr ? 1.0f : a.weights[n * a.k + k]);
          Vec dot = Zero();
          ForLanes(a.c, [&](int64_t i, auto lanes) {
            const Vec d = Load(dout + i, lanes);
            dot = Fma(d, Load(y + row * a.c + i, lanes), dot);
            Store(dy + i, w * d, lanes);
          });
          if (a.dweights != nullptr) a.dweights[n * a.k + k] = Sum(dot);
        }
      }
    });
  });
  return nullptr;
}

}  // namespace hone::kernels::cpu::HONE_ISA
