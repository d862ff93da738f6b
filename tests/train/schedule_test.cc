#include "libs/train/schedule.h"

#include <limits>

#include "tests/train/golden.h"

namespace hone {
namespace {

using testing::Near;
using v1::OptimizerSpec;

OptimizerSpec Spec(OptimizerSpec::Schedule schedule, int64_t warmup, double final_ratio) {
  OptimizerSpec s;
  s.set_learning_rate(3e-6);
  s.set_schedule(schedule);
  s.set_warmup_steps(warmup);
  s.set_final_ratio(final_ratio);
  return s;
}

TEST_CASE("warm-up rises from a part of the peak to the peak", "[train]") {
  for (auto schedule : {OptimizerSpec::SCHEDULE_UNSPECIFIED, OptimizerSpec::SCHEDULE_CONSTANT,
                        OptimizerSpec::SCHEDULE_LINEAR, OptimizerSpec::SCHEDULE_COSINE}) {
    const auto s = Spec(schedule, 20, 0.1);
    CHECK(Near(LearningRate(s, 0, 100) / 3e-6, 1.0 / 20));
    CHECK(Near(LearningRate(s, 9, 100) / 3e-6, 0.5));
    CHECK(LearningRate(s, 19, 100) == 3e-6);
    CHECK(Near(LearningRate(s, 20, 100) / 3e-6, 1));
  }
}

TEST_CASE("constant stays, linear and cosine fall to the final ratio", "[train]") {
  CHECK(LearningRate(Spec(OptimizerSpec::SCHEDULE_CONSTANT, 0, 0.1), 99999, 100) == 3e-6);
  const auto linear = Spec(OptimizerSpec::SCHEDULE_LINEAR, 20, 0.1);
  const auto cosine = Spec(OptimizerSpec::SCHEDULE_COSINE, 20, 0.1);
  CHECK(Near(LearningRate(linear, 60, 100) / 3e-6, 0.55));
  CHECK(Near(LearningRate(cosine, 60, 100) / 3e-6, 0.55));
  CHECK(Near(LearningRate(cosine, 40, 100) / 3e-6, 0.1 + 0.9 * 0.5 * (1 + std::sqrt(0.5))));
  for (const auto& s : {linear, cosine}) {
    for (int64_t step = 20; step < 100; ++step) {
      CHECK(LearningRate(s, step, 100) > LearningRate(s, step + 1, 100));
    }
    for (int64_t step : {100, 101, 5000}) CHECK(Near(LearningRate(s, step, 100) / 3e-6, 0.1));
  }
}

TEST_CASE("a stage shorter than its warm-up never divides by zero", "[train]") {
  const auto s = Spec(OptimizerSpec::SCHEDULE_COSINE, 20, 0);
  CHECK(Near(LearningRate(s, 4, 5) / 3e-6, 0.25));
  CHECK(std::isfinite(LearningRate(s, 20, 20)));
  CHECK(std::isfinite(LearningRate(s, 25, 5)));
}

TEST_CASE("schedules that mean nothing are refused", "[train]") {
  CHECK_OK(CheckSchedule(Spec(OptimizerSpec::SCHEDULE_COSINE, 3, 1)));
  CHECK_CODE(CheckSchedule(Spec(OptimizerSpec::SCHEDULE_COSINE, -1, 0)),
             absl::StatusCode::kInvalidArgument);
  CHECK_CODE(CheckSchedule(Spec(OptimizerSpec::SCHEDULE_COSINE, 0, 1.5)),
             absl::StatusCode::kInvalidArgument);
  auto s = Spec(static_cast<OptimizerSpec::Schedule>(9), 0, 0);
  CHECK_CODE(CheckSchedule(s), absl::StatusCode::kInvalidArgument);
  s = Spec(OptimizerSpec::SCHEDULE_LINEAR, 0, 0);
  s.set_learning_rate(std::numeric_limits<double>::quiet_NaN());
  CHECK_CODE(CheckSchedule(s), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace hone
