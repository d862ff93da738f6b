// A learner's own weights, lent to a worker in its process.

#include "libs/loop/colocated_weights.h"

#include <future>

#include "libs/weights/snapshot.h"
#include "tests/loop/colocated.h"

namespace hone {
namespace {

using testing::Fixture;
using testing::Learner;
using testing::WaitFor;

TEST_CASE_METHOD(Fixture, "the worker is given the learner's own weights, and a copy if need be",
                 "[loop]") {
  if (GENERATE(false, true)) {
    model.mutable_lora()->set_rank(2);
    model.mutable_lora()->set_alpha(4);
    model.mutable_lora()->add_targets(LoraConfig::kAllLinear);
  }
  Learner learner(model, 1, *colocated);
  const Weights& own = learner.trainer->weights();
  learner.Recall();  // nothing was published
  Follow(learner);
  CHECK(colocated->Take().weights == nullptr);
  learner.Publish(0);
  CHECK(arrivals == 1);
  const WeightsSource::Arrival first = colocated->Take();
  CHECK(first.weights.get() == &own);
  CHECK(first.version == 0);
  CHECK(colocated->Take().weights == nullptr);
  CHECK_FALSE(colocated->Recalled());
  const Learner other(model, 2, *colocated);
  colocated->Recall(other.trainer->weights());  // nobody has those

  std::shared_ptr<const Weights> held;
  const Weights* memory = nullptr;
  for (const int64_t version : {1, 2, 3}) {
    const bool needed = version > 1;
    const uint64_t digest = WeightsDigest(own);
    std::future<void> step = std::async(std::launch::async, [&] {
      learner.Step();
      learner.Publish(version);
    });
    WaitFor([&] { return colocated->Recalled(); });
    CHECK(step.wait_for(std::chrono::milliseconds(20)) == std::future_status::timeout);
    held = nullptr;  // as an engine that took the version since
    held = colocated->GiveBack(needed);
    step.get();
    CHECK_FALSE(colocated->Recalled());
    CHECK(WeightsDigest(own) != digest);
    REQUIRE((held != nullptr) == needed);
    if (needed) {
      CHECK(held.get() != &own);
      CHECK(WeightsDigest(*held) == digest);
      if (memory != nullptr) CHECK(held.get() == memory);  // used again
      memory = held.get();
      CHECK((held->parameters.data() == own.parameters.data()) ==
            learner.transformer->layout().adapted());  // frozen: lies there once
    }
    const WeightsSource::Arrival next = colocated->Take();
    CHECK(next.weights.get() == &own);
    CHECK(next.version == version);
  }
  CHECK(copies.Value() == 2);
  CHECK(elsewhere.published == std::vector<int64_t>{0, 1, 2, 3});
}

TEST_CASE_METHOD(Fixture, "a learner whose weights nobody reads does not wait", "[loop]") {
  Learner learner(model, 1, *colocated);
  Follow(learner);
  learner.Publish(0);
  SECTION("not taken: what is being changed is not given away") {
    learner.Recall();
    CHECK(colocated->Take().weights == nullptr);
    learner.Publish(0);  // as a learner that began again and made it once more
    CHECK(colocated->Take().version == 0);
  }
  SECTION("the worker leaves, follows another learner, or follows anew while it waits") {
    REQUIRE(colocated->Take().weights != nullptr);
    std::future<void> recall = std::async(std::launch::async, [&] { learner.Recall(); });
    WaitFor([&] { return colocated->Recalled(); });
    const int way = GENERATE(0, 1, 2);
    if (way == 0) colocated->Unfollow();
    if (way == 1) Follow(learner, "elsewhere");
    if (way == 2) Follow(learner);
    recall.get();
    CHECK(elsewhere.following == (way == 1));
    CHECK(colocated->Take().weights == nullptr);
    learner.Publish(1);
    CHECK((colocated->Take().weights != nullptr) == (way == 2));
  }
  SECTION("published again unchanged: still read") {
    REQUIRE(colocated->Take().weights != nullptr);
    learner.Publish(1);  // a step without an update
    std::future<void> recall = std::async(std::launch::async, [&] { learner.Recall(); });
    WaitFor([&] { return colocated->Recalled(); });
    CHECK(recall.wait_for(std::chrono::milliseconds(20)) == std::future_status::timeout);
    CHECK(colocated->GiveBack(/*needed=*/false) == nullptr);
    recall.get();
  }
  CHECK(copies.Value() == 0);
}

TEST_CASE_METHOD(Fixture, "weights of a run that has ended are read as long as they are held",
                 "[loop]") {
  auto first = std::make_unique<Learner>(model, 1, *colocated);
  const uint64_t digest = WeightsDigest(first->trainer->weights());
  Follow(*first);
  first->Publish(7);
  const WeightsSource::Arrival held = colocated->Take();
  first.reset();
  Learner second(model, 2, *colocated, GENERATE(as<std::string>(), "r", "s"));
  second.Publish(8);
  second.Step();  // waits for nobody
  CHECK(WeightsDigest(*held.weights) == digest);
  CHECK_FALSE(colocated->Recalled());
}

TEST_CASE_METHOD(Fixture, "when a learner and its worker have ended nothing keeps the weights",
                 "[loop]") {
  auto learner = std::make_unique<Learner>(model, 1, *colocated);
  Follow(*learner);
  learner->Publish(7);
  const std::weak_ptr<const Weights> own = learner->trainer->shared_weights();
  std::weak_ptr<const Weights> copy;
  SECTION("never taken") {}
  SECTION("taken, and a copy") {
    REQUIRE(colocated->Take().weights != nullptr);
    std::future<void> recall = std::async(std::launch::async, [&] { learner->Recall(); });
    WaitFor([&] { return colocated->Recalled(); });
    copy = colocated->GiveBack(/*needed=*/true);
    recall.get();
    CHECK(!copy.expired());  // kept for the next one
    learner->Publish(8);
  }
  learner.reset();
  CHECK(own.expired());
  CHECK(colocated->Take().weights == nullptr);
  colocated->Unfollow();
  CHECK(copy.expired());
}

}  // namespace
}  // namespace hone
