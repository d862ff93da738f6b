#pragma once

#include <condition_variable>

#include "libs/base/mutex.h"
#include "libs/loop/interfaces.h"
#include "libs/telemetry/metrics.h"

namespace hone {

// The weights of a learner whose process generates, too: the worker reads the learner's own, and
// gives them back when the learner is about to change them. Only a worker that is still generating
// under that version then gets a copy of it, within device memory: what is trained, and what
// adapters are merged into; what is frozen lies there once. One copy at a time, in memory that is
// used again. Nothing is sent.
//
// Thread-safe; Publish and Recall are called from one thread at a time, and so are the methods of
// the follower. Recall waits for the follower's GiveBack, Follow or Unfollow: the follower must not
// wait for the learner meanwhile.
class ColocatedWeights final : public WeightsSink, public WeightsSource {
 public:
  // `address`: the learner's own, as workers get it. Weights of another learner come from `remote`,
  // and this one's go to `others` as well. Both must outlive this. `copies` counts the versions
  // that had to be copied.
  ColocatedWeights(std::string address, WeightsSource& remote, WeightsSink& others, Counter copies)
      : address_(std::move(address)), remote_(remote), others_(others), copies_(copies) {}

  void Publish(const WeightsVersion& v) override;
  void Recall(const Weights& weights) override;

  bool BringsBase(const std::string& address) const override { return address == address_; }
  void Follow(const std::string& run_id, const std::string& address, const Transformer& transformer,
              DType dtype, std::shared_ptr<const Weights> base,
              std::function<void()> arrived) override;
  void Unfollow() override;
  Arrival Take() override;
  bool Recalled() const override;
  std::shared_ptr<const Weights> GiveBack(bool needed) override;

 private:
  // Of this learner's weights; an empty run: none.
  void SetFollower(const std::string& run_id, std::function<void()> arrived);

  const std::string address_;
  WeightsSource& remote_;
  WeightsSink& others_;
  Counter copies_;
  mutable Mutex mu_;
  std::condition_variable given_back_;
  // What was published last. The learner's own weights, which go with it and with who reads them:
  // the next run needs their memory.
  std::string run_id_ ABSL_GUARDED_BY(mu_);
  int64_t version_ ABSL_GUARDED_BY(mu_) = -1;
  std::weak_ptr<const Weights> own_ ABSL_GUARDED_BY(mu_);
  const ParameterLayout* layout_ ABSL_GUARDED_BY(mu_) = nullptr;
  bool available_ ABSL_GUARDED_BY(mu_) = false;         // own_ are of version_: not recalled
  std::shared_ptr<Weights> copy_ ABSL_GUARDED_BY(mu_);  // of own_ in some version
  // The follower.
  std::string followed_ ABSL_GUARDED_BY(mu_);  // run; empty: none, or `remote` has it
  std::function<void()> arrived_ ABSL_GUARDED_BY(mu_);
  bool taken_ ABSL_GUARDED_BY(mu_) = false;    // version_
  bool reading_ ABSL_GUARDED_BY(mu_) = false;  // own_, in this or an earlier version
};

}  // namespace hone
