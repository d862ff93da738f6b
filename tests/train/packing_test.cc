#include "libs/train/packing.h"

#include "tests/testing/test.h"

namespace hone {
namespace {

TEST_CASE("siblings share one prompt, and every token is scored from the right row", "[train]") {
  const std::vector<int32_t> prompt = {10, 11, 12}, other = {20};
  const std::vector<int32_t> a = {1, 2, 3}, b = {4}, c = {5, 6};
  const std::vector<TrainSequence> sequences = {{.group = 0, .prompt = prompt, .completion = a},
                                                {.group = 0, .prompt = prompt, .completion = b},
                                                {.group = 1, .prompt = other, .completion = c}};
  const auto packed = Pack(sequences, 100);
  REQUIRE(packed.size() == 1);
  const MicroBatch& m = packed[0];
  CHECK(m.batch.ids == std::vector<int32_t>{10, 11, 12, 1, 2, 20, 5});
  CHECK(m.batch.positions == std::vector<int32_t>{0, 1, 2, 3, 4, 0, 1});
  CHECK(m.batch.q_start == std::vector<int32_t>{0, 3, 5, 6, 7});
  // The completion's keys are the prompt's rows and then its own.
  CHECK(std::vector<int32_t>(m.batch.kv_rows.begin() + 3, m.batch.kv_rows.begin() + 8) ==
        std::vector<int32_t>{0, 1, 2, 3, 4});
  CHECK(m.scored_rows == std::vector<int32_t>{2, 3, 4, 2, 5, 6});
  CHECK(m.targets == std::vector<int32_t>{1, 2, 3, 4, 5, 6});
  CHECK(m.batch.cluster_start == std::vector<int32_t>{0, 2, 4});
}

TEST_CASE("a full micro-batch begins another one, with the prompt again", "[train]") {
  const std::vector<int32_t> prompt = {10, 11, 12}, a = {1, 2, 3};
  const std::vector<TrainSequence> sequences(3, {.group = 0, .prompt = prompt, .completion = a});
  const auto packed = Pack(sequences, 7);
  REQUIRE(packed.size() == 2);
  CHECK(packed[0].batch.tokens() == 7);
  CHECK(packed[1].batch.ids == std::vector<int32_t>{10, 11, 12, 1, 2});
  CHECK(Pack(sequences, 1).size() == 3);  // a longer single sequence gets its own
}

}  // namespace
}  // namespace hone
