#include "libs/loop/colocated_weights.h"

#include <utility>

namespace hone {

struct ColocatedWeights::Spares {
  Mutex mu;
  std::vector<std::unique_ptr<Weights>> weights ABSL_GUARDED_BY(mu);
};

void ColocatedWeights::Publish(const std::string& run_id, int64_t version,
                               const ParameterLayout& layout, const Weights& weights,
                               uint64_t base_digest) {
  std::shared_ptr<Spares> spares;
  {
    MutexLock lock(mu_);
    if (run_id != run_id_) {
      run_id_ = run_id;
      newest_ = {};
      spares_ = std::make_shared<Spares>();
    } else if (version <= newest_.version) {
      return;
    }
    newest_.weights = nullptr;  // if nobody took it, it is a spare now
    spares = spares_;
  }
  std::unique_ptr<Weights> copy;
  {
    MutexLock lock(spares->mu);
    if (!spares->weights.empty()) {
      copy = std::move(spares->weights.back());
      spares->weights.pop_back();
    }
  }
  if (copy == nullptr) copy = std::make_unique<Weights>(layout, weights);
  const Device on(weights.table(), 1);
  CopyTrained(on, weights, *copy);
  on.Synchronize();
  const std::shared_ptr<const Weights> shared(copy.release(), [spares](const Weights* w) {
    MutexLock lock(spares->mu);
    spares->weights.emplace_back(const_cast<Weights*>(w));
  });
  std::function<void()> arrived;
  {
    MutexLock lock(mu_);
    newest_ = {shared, version};
    taken_ = false;
    if (followed_ == run_id) arrived = arrived_;
  }
  if (arrived) arrived();
  others_.Publish(run_id, version, layout, weights, base_digest);
}

void ColocatedWeights::Follow(const std::string& run_id, const std::string& address,
                              const Transformer& transformer, DType dtype,
                              std::shared_ptr<const Weights> base, std::function<void()> arrived) {
  if (!BringsBase(address)) {
    {
      MutexLock lock(mu_);
      followed_.clear();
      arrived_ = nullptr;
    }
    remote_.Follow(run_id, address, transformer, dtype, std::move(base), std::move(arrived));
    return;
  }
  bool here = false;
  {
    MutexLock lock(mu_);
    followed_ = run_id;
    arrived_ = arrived;
    taken_ = false;
    here = run_id_ == run_id && newest_.weights != nullptr;
  }
  if (here) arrived();
}

WeightsSource::Arrival ColocatedWeights::Take() {
  MutexLock lock(mu_);
  if (followed_.empty()) return remote_.Take();
  if (followed_ != run_id_ || newest_.weights == nullptr || std::exchange(taken_, true)) return {};
  return newest_;
}

}  // namespace hone
