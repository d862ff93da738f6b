#pragma once

#include "libs/base/mutex.h"
#include "libs/loop/interfaces.h"

namespace hone {

// The weights of a learner whose process generates, too. A version is copied within device memory:
// what is trained, and what adapters are merged into, in two buffers by turns; what is frozen lies
// there once. Nothing is sent. Thread-safe; Follow and Publish are each called from one thread at a
// time.
class ColocatedWeights final : public WeightsSink, public WeightsSource {
 public:
  // `address`: the learner's own, as workers get it. Weights of another learner come from `remote`,
  // and this one's go to `others` as well. Both must outlive this.
  ColocatedWeights(std::string address, WeightsSource& remote, WeightsSink& others)
      : address_(std::move(address)), remote_(remote), others_(others) {}

  void Publish(const std::string& run_id, int64_t version, const ParameterLayout& layout,
               const Weights& weights, uint64_t base_digest) override;

  bool BringsBase(const std::string& address) const override { return address == address_; }
  void Follow(const std::string& run_id, const std::string& address, const Transformer& transformer,
              DType dtype, std::shared_ptr<const Weights> base,
              std::function<void()> arrived) override;
  Arrival Take() override;

 private:
  // Copies that nobody reads any more, all of one run.
  struct Spares;

  const std::string address_;
  WeightsSource& remote_;
  WeightsSink& others_;
  Mutex mu_;
  std::string run_id_ ABSL_GUARDED_BY(mu_);  // of newest_ and spares_
  Arrival newest_ ABSL_GUARDED_BY(mu_);
  bool taken_ ABSL_GUARDED_BY(mu_) = false;  // newest_, by the present follower
  std::shared_ptr<Spares> spares_ ABSL_GUARDED_BY(mu_);
  std::string followed_ ABSL_GUARDED_BY(mu_);  // run; empty: none, or `remote` has it
  std::function<void()> arrived_ ABSL_GUARDED_BY(mu_);
};

}  // namespace hone
