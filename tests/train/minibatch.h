#pragma once

// Runs a whole minibatch through PolicyLoss, in any cut.

#include <optional>
#include <vector>

#include "libs/train/policy_loss.h"
#include "tests/train/golden.h"

namespace hone::testing {

struct Minibatch {
  Rows theta, sampler, recomputed, ref,
      entropy;                    // [sequences][tokens]; recomputed and on: may be empty
  std::vector<double> advantage;  // [sequences]
  std::vector<std::vector<uint8_t>> trained;  // may be empty
};

struct MinibatchResult {
  absl::Status status;
  double loss = 0;
  Rows c;
  std::vector<double> entropy_coefficient;
  std::vector<PreparedSequence> prepared;
  LossStats stats;
  bool skip = false;
};

// Fixture F1 of the goldens; `recompute` also hands over the old logprobs beside the sampler's.
inline Minibatch FixtureF1(bool recompute = true) {
  const auto& f = Golden()["policy_loss_F1"]["fixture"];
  Minibatch b;
  b.theta = f["logp_theta"];
  b.sampler = recompute ? f["logp_rollout"] : f["logp_old"];
  if (recompute) b.recomputed = f["logp_old"];
  b.ref = f["logp_ref"];
  b.advantage = f["adv_verl"].get<std::vector<double>>();
  return b;
}

// `order`: the sequences in the order of evaluation; default: as they are. `ranks`: counts and
// statistics are gathered in so many parts and then added.
inline MinibatchResult Run(const PolicyLoss& loss, const Minibatch& b,
                           std::vector<size_t> order = {}, size_t ranks = 1) {
  const size_t n = b.theta.size();
  MinibatchResult r;
  if (order.empty()) {
    for (size_t i = 0; i < n; ++i) order.push_back(i);
  }
  std::vector<BatchCounts> counts(ranks);
  std::vector<LossStats> stats(ranks);
  r.c.resize(n);
  r.prepared.resize(n);
  r.entropy_coefficient.resize(n);
  for (size_t k = 0; k < n; ++k) {
    const size_t i = order[k];
    auto p =
        loss.Prepare(b.sampler[i], b.recomputed.empty() ? std::vector<double>() : b.recomputed[i],
                     b.trained.empty() ? std::vector<uint8_t>() : b.trained[i], &stats[k % ranks]);
    if (!p.ok()) {
      r.status = p.status();
      return r;
    }
    counts[k % ranks].AddSequence(p->tokens);
    r.prepared[i] = *std::move(p);
  }
  BatchCounts global;
  for (const auto& c : counts) global.Add(c);
  const Denominators d = loss.Divide(global);
  r.skip = d.empty();
  for (size_t k = 0; k < n; ++k) {
    const size_t i = order[k];
    const std::vector<double> advantage(b.theta[i].size(), b.advantage[i]);
    r.c[i].assign(b.theta[i].size(), 777.0);
    LossInput in;
    in.prepared = &r.prepared[i];
    in.logp = b.theta[i];
    in.advantage = advantage;
    if (!b.ref.empty()) in.logp_ref = b.ref[i];
    if (!b.entropy.empty()) in.entropy = b.entropy[i];
    auto value = loss.Evaluate(in, d, r.c[i], &stats[k % ranks]);
    if (!value.ok()) {
      r.status = value.status();
      return r;
    }
    r.loss += value->value;
    r.entropy_coefficient[i] = value->entropy_coefficient;
  }
  for (const auto& s : stats) r.stats.Add(s);
  return r;
}

inline PolicyLoss MakeLoss(const v1::LossSpec& loss, const v1::KlSpec& kl = {},
                           int64_t max_new_tokens = 4) {
  auto p = PolicyLoss::Create(loss, kl, max_new_tokens);
  REQUIRE_OK(p);
  return *p;
}

inline bool Near(const Rows& got, const Rows& want, double tolerance = 1e-12) {
  if (got.size() != want.size()) return false;
  for (size_t i = 0; i < got.size(); ++i) {
    if (!Near(got[i], want[i], tolerance)) return false;
  }
  return true;
}

}  // namespace hone::testing
