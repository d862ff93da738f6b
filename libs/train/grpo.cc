// One GRPO step: groups -> advantages -> minibatches -> updates (algorithms.md 13.1).

#include <algorithm>
#include <cmath>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "libs/base/random.h"
#include "libs/base/status.h"
#include "libs/ops/head.h"
#include "libs/train/advantage.h"
#include "libs/train/kl.h"
#include "libs/train/schedule.h"
#include "libs/train/scored.h"

namespace hone {
namespace {

int64_t MicroBatchTokens(const v1::GrpoStage& spec) {
  return spec.max_micro_batch_tokens() > 0 ? spec.max_micro_batch_tokens() : 4096;
}

std::vector<double> Widen(const float* begin, int64_t n) {
  return {begin, begin + n};
}

// The mean and the maximum of completion lengths, and what else the sampler said.
void AddRolloutMetrics(std::span<const v1::Group> groups, StepValues& metrics) {
  double completions = 0, tokens = 0, longest = 0, truncated = 0, correct = 0, scored = 0,
         entropy = 0, unscored = 0;
  std::vector<double> lengths;
  std::map<std::string, std::pair<double, double>> parts;
  for (const v1::Group& g : groups) {
    for (const v1::Completion& c : g.completions()) {
      const double n = c.token_ids_size();
      ++completions;
      tokens += n;
      lengths.push_back(n);
      longest = std::max(longest, n);
      truncated += c.finish_reason() == v1::FINISH_REASON_LENGTH;
      entropy += n * c.mean_entropy();
      correct += c.verdict().correct();
      (c.verdict().outcome() == v1::OUTCOME_SCORED ? scored : unscored) += 1;
      for (const v1::ScorePart& p : c.verdict().parts()) {
        parts[p.scorer()].first += p.value();
        parts[p.scorer()].second += 1;
      }
    }
  }
  if (completions == 0) return;
  metrics["completions"] = completions;
  metrics["completion_tokens"] = tokens;
  metrics["response_length_mean"] = tokens / completions;
  metrics["response_length_max"] = longest;
  std::sort(lengths.begin(), lengths.end());
  metrics["response_length_p50"] = lengths[lengths.size() / 2];
  metrics["response_length_p95"] = lengths[lengths.size() * 95 / 100];
  metrics["truncated_ratio"] = truncated / completions;
  metrics["unscored_ratio"] = unscored / completions;
  metrics["pass_at_1"] = scored > 0 ? correct / scored : 0;
  if (tokens > 0) metrics["rollout_entropy"] = entropy / tokens;
  for (const auto& [name, sum] : parts)
    metrics[absl::StrCat("reward_", name, "_mean")] = sum.first / sum.second;
}

}  // namespace

absl::StatusOr<std::vector<Trainer::Sample>> Trainer::Collect(const v1::GrpoStage& spec,
                                                              std::span<const v1::Group> groups,
                                                              int64_t step, StepValues& metrics) {
  std::vector<Sample> samples;
  std::vector<size_t> first_of;  // of each group
  const int32_t vocab = static_cast<int32_t>(transformer_.config().vocab);
  const auto known = [&](int32_t id) { return id >= 0 && id < vocab; };
  for (size_t gi = 0; gi < groups.size(); ++gi) {
    const v1::Group& g = groups[gi];
    first_of.push_back(samples.size());
    const std::span<const int32_t> prompt(g.prompt_token_ids().data(),
                                          static_cast<size_t>(g.prompt_token_ids_size()));
    const float temperature = g.sampling().greedy() ? 0 : g.sampling().temperature();
    if (prompt.empty() || !std::all_of(prompt.begin(), prompt.end(), known))
      return absl::InvalidArgumentError(
          absl::StrCat("issue ", g.issue(), ": prompt is empty or has unknown token ids"));
    for (const v1::Completion& c : g.completions()) {
      const std::span<const int32_t> ids(c.token_ids().data(),
                                         static_cast<size_t>(c.token_ids_size()));
      if (c.logprobs_size() != c.token_ids_size() || !std::all_of(ids.begin(), ids.end(), known) ||
          static_cast<int64_t>(prompt.size() + ids.size()) > transformer_.max_context())
        return absl::InvalidArgumentError(
            absl::StrCat("issue ", g.issue(), " sample ", c.sample_index(), ": ", ids.size(),
                         " tokens with ", c.logprobs_size(),
                         " logprobs, or token ids outside the vocabulary, or beyond the context"));
      samples.push_back({.group = &g,
                         .completion = &c,
                         .sequence = {.group = static_cast<int64_t>(gi),
                                      .prompt = prompt,
                                      .completion = ids,
                                      .inv_temperature = ops::InverseTemperature(temperature)}});
    }
  }

  const bool monitors = spec.kl().monitor() && step % std::max(1, spec.kl().monitor_every()) == 0;
  const bool in_reward = spec.kl().placement() == v1::KlSpec::PLACEMENT_REWARD;
  if (reference_ && (spec.kl().beta() > 0 || monitors)) {
    std::vector<TrainSequence> sequences;
    std::vector<Sample*> owners;
    for (Sample& s : samples) {
      if (s.sequence.completion.empty()) continue;
      sequences.push_back(s.sequence);
      owners.push_back(&s);
    }
    const auto logp = Logprobs(*reference_, sequences, MicroBatchTokens(spec));
    for (size_t i = 0; i < owners.size(); ++i)
      owners[i]->logp_ref.assign(logp[i].begin(), logp[i].end());
  }

  std::vector<std::vector<ScoredSample>> scored(groups.size());
  for (size_t gi = 0; gi < groups.size(); ++gi) {
    for (int i = 0; i < groups[gi].completions_size(); ++i) {
      const Sample& s = samples[first_of[gi] + static_cast<size_t>(i)];
      const v1::Completion& c = *s.completion;
      ScoredSample sample;
      sample.truncated = c.finish_reason() == v1::FINISH_REASON_LENGTH;
      if (c.verdict().outcome() == v1::OUTCOME_SCORED &&
          c.finish_reason() != v1::FINISH_REASON_ABORT) {
        sample.reward = c.verdict().score();
        if (in_reward && spec.kl().beta() > 0 && !s.logp_ref.empty()) {
          const std::vector<double> old(c.logprobs().begin(), c.logprobs().end());
          *sample.reward -= KlRewardPenalty(spec.kl(), old, s.logp_ref, {});
        }
      }
      scored[gi].push_back(sample);
    }
  }
  HONE_ASSIGN_OR_RETURN(const AdvantageEstimator estimator,
                        AdvantageEstimator::Create(spec.advantage(), spec.truncation(),
                                                   spec.group_size(), spec.min_group()));
  const std::vector<GroupAdvantages> advantages = estimator.Compute(scored);
  metrics.merge(AdvantageMetrics(scored, advantages));

  std::vector<Sample> kept;
  for (size_t gi = 0; gi < groups.size(); ++gi) {
    const GroupAdvantages& a = advantages[gi];
    if (a.dropped || (spec.drop_zero_variance() && a.zero_variance)) continue;
    for (size_t i = 0; i < a.advantage.size(); ++i) {
      Sample& s = samples[first_of[gi] + i];
      if (a.use[i] == SampleUse::kDrop) continue;
      s.advantage = a.advantage[i];
      s.trained = a.use[i] == SampleUse::kTrain;
      kept.push_back(std::move(s));
    }
  }
  return kept;
}

absl::Status Trainer::Update(const v1::GrpoStage& spec, const PolicyLoss& loss,
                             std::span<Sample*> minibatch, bool on_policy, int64_t step,
                             int64_t version, LossStats& stats, StepValues& sums) {
  // In order of group and sample, so that siblings share their prompt and sums have a fixed order.
  std::sort(minibatch.begin(), minibatch.end(), [](const Sample* a, const Sample* b) {
    return std::pair(a->sequence.group, a->completion->sample_index()) <
           std::pair(b->sequence.group, b->completion->sample_index());
  });
  BatchCounts counts;
  std::vector<TrainSequence> sequences;
  std::vector<Sample*> owners;
  for (Sample* s : minibatch) {
    const std::vector<double> sampler(s->completion->logprobs().begin(),
                                      s->completion->logprobs().end());
    const std::vector<uint8_t> trained(sampler.size(), s->trained);
    HONE_ASSIGN_OR_RETURN(s->prepared, loss.Prepare(sampler, {}, trained, &stats));
    counts.AddSequence(s->prepared.tokens);
    if (s->prepared.tokens == 0) continue;
    sequences.push_back(s->sequence);
    owners.push_back(s);
  }
  const Denominators denominators = loss.Divide(counts);
  if (denominators.empty()) {
    sums["skipped_updates"] += 1;
    return absl::OkStatus();
  }

  device_.Zero(gradients_.data(), gradients_.bytes());
  ExpertLoad load = NewExpertLoad(transformer_.config());
  absl::Status status;
  const double alpha = spec.moe().sequence_balance() / static_cast<double>(sequences.size());
  for (const MicroBatch& m : Pack(sequences, MicroBatchTokens(spec))) {
    sums["batch_tokens"] += static_cast<double>(m.batch.tokens());
    ForwardBackward(m, alpha, load, [&](ForLoss& rows) {
      for (const MicroBatch::Item& item : m.items) {
        if (!status.ok()) return;
        const Sample& s = *owners[static_cast<size_t>(item.sequence)];
        const auto n = static_cast<int64_t>(s.sequence.completion.size());
        const std::vector<double> logp = Widen(rows.logp.data() + item.begin, n);
        const std::vector<double> entropy = Widen(rows.entropy.data() + item.begin, n);
        const std::vector<double> advantage(logp.size(), s.advantage);
        std::vector<double> coefficient(logp.size());
        if (on_policy && s.completion->versions_size() == 1 &&
            s.completion->versions(0).version() == version)
          stats.AddMismatch(logp, s.prepared.logp_sampler, s.prepared.mask_den);
        const absl::StatusOr<SequenceLoss> result =
            loss.Evaluate({.prepared = &s.prepared,
                           .logp = logp,
                           .advantage = advantage,
                           .logp_ref = s.logp_ref,
                           .entropy = entropy},
                          denominators, std::span(coefficient), &stats);
        if (!result.ok()) {
          status = result.status();
          return;
        }
        const auto first = static_cast<size_t>(item.begin);
        for (size_t i = 0; i < coefficient.size(); ++i) {
          rows.coefficient[first + i] = static_cast<float>(coefficient[i]);
          if (s.prepared.mask_den[i])
            rows.dentropy[first + i] = static_cast<float>(result->entropy_coefficient);
        }
      }
    });
  }
  HONE_RETURN_IF_ERROR(status);
  const double rate = LearningRate(spec.optimizer(), step, spec.steps());
  for (const auto& [name, value] : Apply(spec.optimizer(), spec.moe(), rate, load))
    sums[name] += value;
  sums["updates"] += 1;
  return absl::OkStatus();
}

absl::StatusOr<StepValues> Trainer::GrpoStep(const v1::GrpoStage& spec,
                                             std::span<const v1::Group> groups, int64_t step,
                                             int64_t version, uint64_t seed) {
  HONE_ASSIGN_OR_RETURN(
      const PolicyLoss loss,
      PolicyLoss::Create(spec.loss(), spec.kl(), spec.sampling().max_new_tokens()));
  if (loss.recomputes_old())
    return absl::UnimplementedError("loss.off_policy: recomputing old logprobs is not supported");
  if (loss.needs_reference() && reference_ == nullptr)
    return absl::FailedPreconditionError("the loss has a KL term but the stage has no reference");
  StepValues metrics;
  AddRolloutMetrics(groups, metrics);
  HONE_ASSIGN_OR_RETURN(std::vector<Sample> samples, Collect(spec, groups, step, metrics));

  // Minibatches: a random split of the completions, the same on every replay.
  std::vector<Sample*> order;
  for (Sample& s : samples) order.push_back(&s);
  RandomStream random(
      DeriveKey(DeriveKey(KeyFromSeed(seed), "minibatches"), static_cast<uint64_t>(version)));
  Shuffle(random, order);
  const auto updates = static_cast<size_t>(std::max(1, spec.updates_per_step()));
  const size_t size = (order.size() + updates - 1) / updates;
  LossStats stats;
  StepValues sums{{"updates", 0}, {"skipped_updates", 0}, {"batch_tokens", 0}};
  for (size_t begin = 0; begin < order.size(); begin += size) {
    const size_t end = std::min(order.size(), begin + size);
    HONE_RETURN_IF_ERROR(Update(spec, loss, std::span(order).subspan(begin, end - begin),
                                /*on_policy=*/begin == 0, step, version, stats, sums));
  }
  metrics.merge(stats.Metrics());
  const double done = std::max(1.0, sums["updates"]);
  for (const auto& [name, value] : sums)
    metrics[name] = name == "grad_norm" || name == "moe_max_violation" ? value / done : value;
  metrics["learning_rate"] = LearningRate(spec.optimizer(), step, spec.steps());
  metrics["trained_completions"] = static_cast<double>(samples.size());

  const int refresh = spec.kl().refresh_steps();
  if (reference_ && refresh > 0 && (step + 1) % refresh == 0) RefreshReference();
  return metrics;
}

}  // namespace hone
