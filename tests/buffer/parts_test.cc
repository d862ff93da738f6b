#include "libs/buffer/keys.h"
#include "libs/buffer/records.h"
#include "tests/testing/test.h"

namespace hone::testing {
namespace {

TEST_CASE("Keys sort as their numbers do", "[buffer]") {
  const int64_t numbers[] = {INT64_MIN, -300, -1, 0, 1, 255, 256, 65536, INT64_MAX};
  for (int i = 0; i + 1 < 9; ++i) CHECK(keys::Number(numbers[i]) < keys::Number(numbers[i + 1]));
  for (const int64_t n : numbers) CHECK(keys::LastNumber("abc" + keys::Number(n)) == n);
}

TEST_CASE("No key range reaches into another's", "[buffer]") {
  // "a" is a prefix of "ab" as a name but not as a key.
  CHECK(keys::Steps("ab").compare(0, keys::Steps("a").size(), keys::Steps("a")) != 0);
  const QueueId stage{"r", false, "x", 0};
  const QueueId evaluation{"r", true, "x", 0};
  CHECK(keys::Issues(stage) != keys::Issues(evaluation));
  CHECK(keys::After("ab") == "ac");
  CHECK(keys::After(std::string("a\xff", 2)) == "b");
}

TEST_CASE("Names that would break keys are refused", "[buffer]") {
  CHECK_OK(CheckId("run id", "a"));
  CHECK_OK(CheckId("run id", "0.a_b-c"));
  for (const char* id : {"", "A", "-a", ".a", "a/b", "a b"})
    CHECK_CODE(CheckId("run id", id), absl::StatusCode::kInvalidArgument);
  CHECK_CODE(CheckId("run id", std::string(64, 'a')), absl::StatusCode::kInvalidArgument);
  CHECK_OK(CheckName("stage", "R1 zero"));
  CHECK_CODE(CheckName("stage", std::string("a\0b", 3)), absl::StatusCode::kInvalidArgument);
  CHECK_CODE(CheckName("stage", ""), absl::StatusCode::kInvalidArgument);
}

TEST_CASE("The order of prompts and the noise are fixed for good", "[buffer]") {
  // Changing these would make every stored run unrepeatable.
  std::vector<int64_t> order;
  for (int64_t n = 0; n < 14; ++n) order.push_back(PromptIndex(7, "main", 7, n));
  CHECK(order == std::vector<int64_t>{5, 3, 1, 6, 2, 4, 0, 5, 4, 6, 0, 1, 3, 2});
  CHECK(SamplingSeed(7, {"r", false, "main", 0}) == 9431885735437367921u);
  CHECK(SamplingSeed(7, {"other", false, "main", 0}) == SamplingSeed(7, {"r", false, "main", 0}));
  CHECK(SamplingSeed(7, {"r", true, "main", 3}) == SamplingSeed(7, {"r", true, "main", 4}));
  CHECK(SamplingSeed(7, {"r", true, "main", 3}) != SamplingSeed(7, {"r", false, "main", 0}));
}

}  // namespace
}  // namespace hone::testing
