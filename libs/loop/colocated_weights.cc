#include "libs/loop/colocated_weights.h"

#include <utility>

namespace hone {

void ColocatedWeights::Publish(const WeightsVersion& v) {
  {
    MutexLock lock(mu_);
    if (v.run_id == run_id_ && (v.version < version_ || (v.version == version_ && available_)))
      return;
    if (v.weights != own_.lock()) {  // the former's learner is gone, they change no more
      own_ = v.weights;
      copy_ = nullptr;
      reading_ = false;
    }
    layout_ = &v.layout;
    run_id_ = v.run_id;
    version_ = v.version;
    available_ = true;
    taken_ = false;
    if (followed_ == run_id_) arrived_();
  }
  others_.Publish(v);
}

void ColocatedWeights::Recall(const Weights& weights) {
  {
    MutexLock lock(mu_);
    if (own_.lock().get() == &weights) {
      available_ = false;
      if (reading_) arrived_();
      lock.Wait(given_back_, [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return !reading_; });
    }
  }
  others_.Recall(weights);
}

void ColocatedWeights::SetFollower(const std::string& run_id, std::function<void()> arrived) {
  MutexLock lock(mu_);
  followed_ = run_id;
  arrived_ = std::move(arrived);
  taken_ = false;
  reading_ = false;
  if (own_.expired()) copy_ = nullptr;  // their learner makes no more
  given_back_.notify_all();
  if (!followed_.empty() && followed_ == run_id_ && available_) arrived_();
}

void ColocatedWeights::Follow(const std::string& run_id, const std::string& address,
                              const Transformer& transformer, DType dtype,
                              std::shared_ptr<const Weights> base, std::function<void()> arrived) {
  if (BringsBase(address)) {
    SetFollower(run_id, std::move(arrived));
    return;
  }
  SetFollower("", nullptr);
  remote_.Follow(run_id, address, transformer, dtype, std::move(base), std::move(arrived));
}

void ColocatedWeights::Unfollow() {
  SetFollower("", nullptr);
  remote_.Unfollow();
}

WeightsSource::Arrival ColocatedWeights::Take() {
  MutexLock lock(mu_);
  if (followed_.empty()) return remote_.Take();
  if (followed_ != run_id_ || !available_ || std::exchange(taken_, true)) return {};
  std::shared_ptr<const Weights> own = own_.lock();
  if (own == nullptr) return {};
  reading_ = true;
  return {std::move(own), version_};
}

bool ColocatedWeights::Recalled() const {
  MutexLock lock(mu_);
  return reading_ && !available_;
}

std::shared_ptr<const Weights> ColocatedWeights::GiveBack(bool needed) {
  MutexLock lock(mu_);
  HONE_CHECK(reading_ && !available_) << "nothing is recalled";
  if (needed) {
    const std::shared_ptr<const Weights> own = own_.lock();  // alive: their learner waits
    if (copy_ == nullptr || copy_.use_count() > 1)
      copy_ = std::make_shared<Weights>(*layout_, *own);
    const Device on(own->table(), 1);
    CopyTrained(on, *own, *copy_);
    on.Synchronize();
    copies_.Increment();
  }
  reading_ = false;
  given_back_.notify_all();
  return needed ? copy_ : nullptr;
}

}  // namespace hone
