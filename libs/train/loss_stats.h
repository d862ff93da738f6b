#pragma once

// What a minibatch's loss looked like: sums and maxima that add up over completions, micro-batches
// and ranks, and the step metrics made of them.

#include <array>
#include <cstdint>
#include <map>
#include <span>
#include <string>

namespace hone {

struct LossStats {
  enum Sum {
    kLoss,         // already divided by the global denominators: the sum over all ranks is the loss
    kPolicyLoss,   // "
    kKlLoss,       // "
    kEntropyLoss,  // "
    kSequences,
    kTokens,        // in the denominators
    kPolicyTokens,  // with a policy term
    kRatioTokens,   // with a finite ratio pi / pi_old
    kRatio,
    kApproxKl,  // r - 1 - log r, the k3 estimate of KL(old, policy) under old
    kClipLow,   // r below its lower bound and A < 0
    kClipHigh,  // r above its upper bound and A > 0
    kAdvantage,
    kAdvantageSquared,
    kRefTokens,
    kRefKl,  // the configured estimator's value
    kRefKlK3,
    kEntropyTokens,
    kEntropy,
    kWeightTokens,  // tokens that got an off-policy weight
    kWeight,
    kWeightSquared,
    kMismatchTokens,  // learner against sampler
    kMismatchKl,
    kMismatchAbs,
    kMismatchError,  // exp|d|
    kMismatchRatioSquared,
    kMismatchP,  // probabilities under the learner and the sampler, for their correlation
    kMismatchQ,
    kMismatchPP,
    kMismatchQQ,
    kMismatchPQ,
    kNonfinite,  // sampler logprobs that were NaN or infinite
    kRejectedSequences,
    kSequenceMasked,  // sequences without a policy term because of sequence_mask_delta
    kClampedRatio,
    kClampedKl,
    kSums
  };
  enum Max { kRatioDeviation, kMismatchAbsMax, kWeightMax, kWeightNegatedMin, kMaxima };

  LossStats();
  void Add(const LossStats& other);
  void Raise(Max field, double value);

  // Compares the learner's logprobs with the sampler's, both under the same weights: 0 where one
  // program computes both. Entries that are not finite or not in `mask` ([tokens], empty: all) are
  // left out.
  void AddMismatch(std::span<const double> learner, std::span<const double> sampler,
                   std::span<const uint8_t> mask);

  // Step metrics; README.md lists them. What was not measured is absent, not 0.
  std::map<std::string, double> Metrics() const;

  std::array<double, kSums> sums{};    // a collective adds these
  std::array<double, kMaxima> maxima;  // and takes the maximum of these; -infinity: nothing seen
};

}  // namespace hone
