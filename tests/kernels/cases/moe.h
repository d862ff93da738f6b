#pragma once

#include <algorithm>
#include <numeric>

#include "tests/kernels/case.h"

namespace hone::kernels::testing {

struct RouteShape {
  int64_t n, e, k;
  Scoring scoring = Scoring::kSigmoid;
  bool normalize = true, bias = true;
  int64_t groups = 1, top_groups = 1;
  GroupScore group_score = GroupScore::kTopTwoSum;
  float scale = 1;
};

// Distinct logits per row, so that rounding does not decide who is chosen.
inline Numbers RouteLogits(const RouteShape& s) {
  Numbers x;
  for (int64_t n = 0; n < s.n; ++n)
    for (int64_t e = 0; e < s.e; ++e)
      x.push_back((static_cast<double>((e * 37 + n * 11 + (n * e) % 5 * 3) % 101) - 50) / 16 +
                  e / 256.0);
  return x;
}
inline Numbers RouteBias(const RouteShape& s) {
  return Random(s.e, 61, 0.125);
}

struct Routed {
  Numbers scores, weights;
  std::vector<int32_t> experts;
};

// With `fixed` experts: only their weights (for gradients).
inline Routed RouteReference(const RouteShape& s, const Numbers& logits,
                             const std::vector<int32_t>* fixed = nullptr) {
  const Numbers bias = s.bias ? RouteBias(s) : Numbers(s.e, 0.0);
  Routed r;
  for (int64_t n = 0; n < s.n; ++n) {
    Numbers score(s.e), choice(s.e);
    double total = 0;
    for (int64_t e = 0; e < s.e; ++e) total += std::exp(logits[n * s.e + e]);
    for (int64_t e = 0; e < s.e; ++e) {
      const double x = std::exp(logits[n * s.e + e]);
      score[e] = s.scoring == Scoring::kSigmoid ? x / (1 + x) : x / total;
      choice[e] = score[e] + bias[e];
    }
    const int64_t size = s.e / s.groups;
    std::vector<std::pair<double, int64_t>> groups;
    for (int64_t g = 0; g < s.groups; ++g) {
      Numbers c = Slice(choice, g * size, (g + 1) * size);
      std::sort(c.rbegin(), c.rend());
      groups.push_back({-(s.group_score == GroupScore::kMax || size == 1 ? c[0] : c[0] + c[1]), g});
    }
    std::sort(groups.begin(), groups.end());
    std::vector<std::pair<double, int64_t>> order;
    for (int64_t i = 0; i < s.top_groups; ++i)
      for (int64_t e = groups[i].second * size; e < (groups[i].second + 1) * size; ++e)
        order.push_back({-choice[e], e});
    std::sort(order.begin(), order.end());
    double sum = 0;
    for (int64_t k = 0; k < s.k; ++k) {
      r.experts.push_back(fixed != nullptr ? (*fixed)[n * s.k + k]
                                           : static_cast<int32_t>(order[k].second));
      sum += score[r.experts.back()];
    }
    for (int64_t k = 0; k < s.k; ++k)
      r.weights.push_back(score[r.experts[n * s.k + k]] * s.scale / (s.normalize ? sum : 1));
    r.scores.insert(r.scores.end(), score.begin(), score.end());
  }
  return r;
}

inline Case RouteCase(const RouteShape& s) {
  Case r;
  r.name = "route " + std::to_string(s.n) + " rows, " + std::to_string(s.k) + " of " +
           std::to_string(s.e) +
           (s.groups > 1 ? ", " + std::to_string(s.top_groups) + " of " + std::to_string(s.groups) +
                               " groups"
                         : "");
  r.rows = s.n;
  r.bytes = 8.0 * s.n * s.e;
  r.has = [](const Table& t) { return t.route != nullptr; };
  r.job = [=](DType, int64_t begin, int64_t end) {
    const int64_t n = end - begin;
    const Array logits(Slice(RouteLogits(s), begin * s.e, end * s.e), DType::kF32),
        bias(RouteBias(s), DType::kF32);
    const Array scores(n * s.e, DType::kF32), weights(n * s.k, DType::kF32);
    const Array experts = Array::Of(std::vector<int32_t>(n * s.k, -1));
    const RouteArgs a{.logits = logits.As(),
                      .bias = s.bias ? bias.As() : nullptr,
                      .scores = scores.As(),
                      .experts = experts.As<int32_t>(),
                      .weights = weights.As(),
                      .n = n,
                      .e = s.e,
                      .k = s.k,
                      .groups = s.groups,
                      .top_groups = s.top_groups,
                      .scoring = s.scoring,
                      .group_score = s.group_score,
                      .normalize = s.normalize,
                      .scale = s.scale};
    return Job{[=, hold = std::vector<Array>{logits, bias}](const Table& t, Stream stream) {
                 return t.route(a, stream);
               },
               [=] {
                 std::vector<float> ids;
                 for (int64_t i = 0; i < n * s.k; ++i)
                   ids.push_back(static_cast<float>(experts.As<int32_t>()[i]));
                 return Result{Rows(n, {scores.Floats(), weights.Floats(), ids}),
                               {},
                               scores.Intact() && weights.Intact() && experts.Intact()};
               }};
  };
  r.rows_reference = [=] {
    const Routed x = RouteReference(s, RouteLogits(s));
    Numbers all;
    for (int64_t n = 0; n < s.n; ++n) {
      for (int64_t e = 0; e < s.e; ++e) all.push_back(x.scores[n * s.e + e]);
      for (int64_t k = 0; k < s.k; ++k) all.push_back(x.weights[n * s.k + k]);
      for (int64_t k = 0; k < s.k; ++k) all.push_back(x.experts[n * s.k + k]);
    }
    return all;
  };
  return r;
}

inline Case RouteBackwardCase(const RouteShape& s, bool balance) {
  const int64_t sequences = 3;
  const auto dweights = [=] { return Random(s.n * s.k, 62); };
  const auto f = [=] { return Random(sequences * s.e, 63); };
  Case r;
  r.name = "route_backward " + std::to_string(s.n) + " rows, " + std::to_string(s.k) + " of " +
           std::to_string(s.e) + (balance ? ", balance" : "");
  r.rows = s.n;
  r.tolerance = 5e-6;
  r.bytes = 8.0 * s.n * s.e;
  r.has = [](const Table& t) { return t.route_backward != nullptr; };
  r.job = [=](DType, int64_t begin, int64_t end) {
    const int64_t n = end - begin;
    const Routed x = RouteReference(s, RouteLogits(s));
    const Array scores(Slice(x.scores, begin * s.e, end * s.e), DType::kF32),
        dlogits(n * s.e, DType::kF32);
    const Array weights(Slice(x.weights, begin * s.k, end * s.k), DType::kF32);
    const Array dw(Slice(dweights(), begin * s.k, end * s.k), DType::kF32), fx(f(), DType::kF32);
    const Array experts = Array::Of(
        std::vector<int32_t>(x.experts.begin() + begin * s.k, x.experts.begin() + end * s.k));
    std::vector<int32_t> of;
    for (int64_t i = begin; i < end; ++i) of.push_back(static_cast<int32_t>(i * sequences / s.n));
    const Array sequence = Array::Of(of);
    const RouteBackwardArgs b{.forward = {.logits = nullptr,
                                          .scores = scores.As(),
                                          .experts = experts.As<int32_t>(),
                                          .weights = weights.As(),
                                          .n = n,
                                          .e = s.e,
                                          .k = s.k,
                                          .scoring = s.scoring,
                                          .normalize = s.normalize,
                                          .scale = s.scale},
                              .dweights = dw.As(),
                              .balance = balance ? fx.As() : nullptr,
                              .sequence_of = balance ? sequence.As<int32_t>() : nullptr,
                              .dlogits = dlogits.As()};
    return Job{[=, hold = std::vector<Array>{scores, weights, dw, fx, experts, sequence}](
                   const Table& t, Stream stream) { return t.route_backward(b, stream); },
               [=] {
                 return Result{dlogits.Floats(), {}, dlogits.Intact()};
               }};
  };
  r.rows_reference = [=] {
    const Routed x = RouteReference(s, RouteLogits(s));
    const Numbers d = dweights(), fv = f();
    return Gradient(
        [&](const Numbers& logits) {
          const Routed y = RouteReference(s, logits, &x.experts);
          double loss = Dot(y.weights, d);
          for (int64_t n = 0; n < s.n && balance; ++n) {
            double sum = 0;
            for (int64_t e = 0; e < s.e; ++e) sum += y.scores[n * s.e + e];
            for (int64_t e = 0; e < s.e; ++e)
              loss += fv[n * sequences / s.n * s.e + e] * y.scores[n * s.e + e] / sum;
          }
          return loss;
        },
        RouteLogits(s));
  };
  return r;
}

// Rows are sequences; per sequence, its gradient and how many of its tokens name it.
inline Case SequenceBalanceCase(const std::vector<int32_t>& starts, int64_t e, int64_t k) {
  const double alpha = 0.375;
  const auto sequences = static_cast<int64_t>(starts.size()) - 1;
  const auto scores = [=] { return Random(starts.back() * e, 64); };  // with ties
  Case r;
  r.name = "sequence_balance " + std::to_string(starts.back()) + " rows, " + std::to_string(k) +
           " of " + std::to_string(e);
  r.rows = sequences;
  r.bytes = 4.0 * starts.back() * e;
  r.has = [](const Table& t) { return t.sequence_balance != nullptr; };
  r.job = [=](DType, int64_t begin, int64_t end) {
    std::vector<int32_t> own(starts.begin() + begin, starts.begin() + end + 1);
    const int32_t first = own[0];
    for (int32_t& start : own) start -= first;
    const Array x(Slice(scores(), first * e, starts[end] * e), DType::kF32), q = Array::Of(own);
    const Array gradient((end - begin) * e, DType::kF32);
    const Array of = Array::Of(std::vector<int32_t>(own.back(), -1));
    const SequenceBalanceArgs a{.scores = x.As(),
                                .q_start = q.As<int32_t>(),
                                .gradient = gradient.As(),
                                .sequence_of = of.As<int32_t>(),
                                .sequences = end - begin,
                                .e = e,
                                .k = k,
                                .alpha = alpha};
    return Job{[=, hold = std::vector<Array>{x, q}](const Table& t, Stream stream) {
                 return t.sequence_balance(a, stream);
               },
               [=] {
                 std::vector<float> named(end - begin);
                 for (int64_t s = 0; s < end - begin; ++s)
                   for (int32_t n = own[s]; n < own[s + 1]; ++n)
                     named[s] += of.As<int32_t>()[n] == s;
                 return Result{Rows(end - begin, {gradient.Floats(), named}),
                               {},
                               gradient.Intact() && of.Intact() && x.Intact()};
               }};
  };
  r.rows_reference = [=] {
    const Numbers x = scores();
    Numbers all;
    for (int64_t s = 0; s < sequences; ++s) {
      Numbers chosen(e, 0.0);
      const double tokens = starts[s + 1] - starts[s];
      for (int64_t n = starts[s]; n < starts[s + 1]; ++n)
        for (int64_t i = 0; i < e; ++i) {
          int64_t before = 0;
          for (int64_t j = 0; j < e; ++j) {
            const double a = x[n * e + j], b = x[n * e + i];
            before += a > b || (a == b && j < i);
          }
          chosen[i] += before < k;
        }
      for (double c : chosen)
        all.push_back(tokens == 0 ? 0 : alpha * c * static_cast<double>(e) / (k * tokens * tokens));
      all.push_back(tokens);
    }
    return all;
  };
  return r;
}

// Choice (n, k) is sorted row (n * k + 7 k') of a fixed permutation.
inline std::vector<int32_t> CombineRows(int64_t n, int64_t k) {
  std::vector<int32_t> rows(n * k);
  std::iota(rows.begin(), rows.end(), 0);
  for (size_t i = rows.size(); i > 1; --i) std::swap(rows[i - 1], rows[(i * 7919) % i]);
  return rows;
}

inline Case CombineCase(int64_t n, int64_t k, int64_t c, bool weighted, bool add, bool backward) {
  const auto y = [=] { return Random(n * k * c, 71); };
  const auto w = [=] { return weighted ? Random(n * k, 72) : Numbers(n * k, 1.0); };
  const auto extra = [=] { return Random(n * c, 73); };  // add, or dout
  Case r;
  r.name = std::string("combine") + (backward ? "_backward " : " ") + std::to_string(n) + "x" +
           std::to_string(k) + "x" + std::to_string(c) + (weighted ? "" : " unweighted") +
           (add ? " add" : "");
  r.rows = n;
  r.bf16_tolerance = 5e-3;
  r.bytes = 4.0 * n * c * (backward ? 2 * k + 1 : k + 1);
  r.has = [=](const Table& t) {
    return backward ? t.combine_backward != nullptr : t.combine != nullptr;
  };
  r.job = [=](DType dtype, int64_t begin, int64_t end) {
    const int64_t rows = end - begin;
    const std::vector<int32_t> all = CombineRows(n, k);
    const Array yx(y(), dtype), ex(extra(), dtype), wx(Slice(w(), begin * k, end * k), DType::kF32);
    const Array of =
        Array::Of(std::vector<int32_t>(all.begin() + begin * k, all.begin() + end * k));
    const Array out(backward ? n * k * c : rows * c, dtype), dw(rows * k, DType::kF32);
    return Job{[=](const Table& t, Stream stream) {
                 if (backward)
                   return t.combine_backward({.y = yx.At(0),
                                              .row_of = of.As<int32_t>(),
                                              .weights = weighted ? wx.As() : nullptr,
                                              .dout = ex.At(begin * c),
                                              .dy = out.At(0),
                                              .dweights = dw.As(),
                                              .n = rows,
                                              .k = k,
                                              .c = c,
                                              .dtype = dtype},
                                             stream);
                 return t.combine({.y = yx.At(0),
                                   .row_of = of.As<int32_t>(),
                                   .weights = weighted ? wx.As() : nullptr,
                                   .add = add ? ex.At(begin * c) : nullptr,
                                   .out = out.At(0),
                                   .n = rows,
                                   .k = k,
                                   .c = c,
                                   .dtype = dtype},
                                  stream);
               },
               [=] {
                 if (!backward) return Result{out.Floats(), {}, out.Intact()};
                 std::vector<float> dy;
                 for (int64_t i = 0; i < rows * k; ++i)
                   for (int64_t j = 0; j < c; ++j)
                     dy.push_back(out.Get(of.As<int32_t>()[i] * c + j));
                 return Result{Rows(rows, {dy, dw.Floats()}), {}, out.Intact() && dw.Intact()};
               }};
  };
  r.rows_reference = [=] {
    const Numbers yv = y(), wv = w(), ev = extra();
    const std::vector<int32_t> of = CombineRows(n, k);
    Numbers out;
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t j = 0; j < c && !backward; ++j) {
        double sum = add ? ev[i * c + j] : 0;
        for (int64_t l = 0; l < k; ++l) sum += wv[i * k + l] * yv[of[i * k + l] * c + j];
        out.push_back(sum);
      }
      if (!backward) continue;
      for (int64_t l = 0; l < k; ++l)
        for (int64_t j = 0; j < c; ++j) out.push_back(wv[i * k + l] * ev[i * c + j]);
      for (int64_t l = 0; l < k; ++l) {
        double dot = 0;
        for (int64_t j = 0; j < c; ++j) dot += ev[i * c + j] * yv[of[i * k + l] * c + j];
        out.push_back(dot);
      }
    }
    return out;
  };
  return r;
}

inline std::vector<Case> MoeCases() {
  std::vector<Case> all;
  const RouteShape grouped{9,    16, 4, Scoring::kSigmoid,      true,
                           true, 4,  2, GroupScore::kTopTwoSum, 2.5f};
  RouteShape max = grouped;
  max.group_score = GroupScore::kMax;
  max.scoring = Scoring::kSoftmax;
  max.normalize = false;
  for (const RouteShape& s : std::vector<RouteShape>{
           {1, 1, 1},
           {21, 8, 2},
           {7, 5, 5, Scoring::kSoftmax, false, false},
           {5, 40, 6, Scoring::kSoftmax, true, false, 1, 1, GroupScore::kMax, 16},
           grouped,
           max})
    all.push_back(RouteCase(s));
  for (Scoring scoring : {Scoring::kSigmoid, Scoring::kSoftmax})
    for (bool normalize : {false, true})
      for (bool balance : {false, true})
        all.push_back(RouteBackwardCase(
            {7, 9, 3, scoring, normalize, false, 1, 1, GroupScore::kMax, 1.5f}, balance));
  all.push_back(SequenceBalanceCase({0, 1}, 1, 1));
  all.push_back(SequenceBalanceCase({0, 3, 3, 8, 9, 40}, 9, 3));
  for (bool backward : {false, true}) {
    all.push_back(CombineCase(1, 1, 1, true, false, backward));
    all.push_back(CombineCase(19, 2, 64, true, true, backward));
    all.push_back(CombineCase(11, 6, 77, true, false, backward));
    all.push_back(CombineCase(8, 3, 33, false, true, backward));
  }
  return all;
}

inline std::vector<Case> MoeBenchCases() {
  return {RouteCase({256, 8, 2}),
          RouteCase({2600, 8, 2}),
          RouteCase({2600, 256, 8}),
          RouteBackwardCase({2600, 8, 2}, false),
          CombineCase(2600, 2, 64, true, true, false),
          CombineCase(2600, 2, 64, true, false, true)};
}

}  // namespace hone::kernels::testing
