#include "libs/config/suggest.h"

#include "tests/testing/test.h"

namespace hone {
namespace {

TEST_CASE("the edit distance counts insertions, deletions, replacements and swaps", "[config]") {
  CHECK(EditDistance("", "") == 0);
  CHECK(EditDistance("", "abc") == 3);
  CHECK(EditDistance("steps", "steps") == 0);
  CHECK(EditDistance("setps", "steps") == 1);
  CHECK(EditDistance("kitten", "sitting") == 3);
  CHECK(EditDistance("group", "groups") == 1);
}

TEST_CASE("the closest name ignores case and dashes and stays silent when nothing is near",
          "[config]") {
  const std::vector<std::string> names = {"group_size", "min_group", "steps", "optimizer"};
  CHECK(Closest("grop_size", names) == "group_size");
  CHECK(Closest("Group-Size", names) == "group_size");
  CHECK(Closest("step", names) == "steps");
  CHECK(Closest("temperature", names) == "");
  CHECK(Closest(std::string(5000, 'x'), names) == "");
}

}  // namespace
}  // namespace hone
