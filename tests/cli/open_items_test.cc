#include "services/cli/open_items.h"

#include <atomic>
#include <thread>
#include <vector>

#include "tests/testing/test.h"

namespace hone::testing {
namespace {

TEST_CASE("no more than so many are open, and each verdict gets to its place", "[cli]") {
  std::atomic<int> waits{0};
  cli::OpenItems open(2, [&](size_t) { ++waits; });
  std::vector<v1::Verdict> verdicts(3);
  const auto said = [](double score) {
    v1::Verdict verdict;
    verdict.set_score(score);
    return verdict;
  };
  const auto first = open.Expect(&verdicts[0]);
  const auto second = open.Expect(&verdicts[1]);
  CHECK(waits == 0);
  std::atomic<bool> answered{false};
  std::thread answering([&] {
    while (waits == 0) std::this_thread::yield();  // the third one waits
    answered = true;
    second(said(2));
  });
  const auto third = open.Expect(&verdicts[2]);
  CHECK(answered);
  CHECK(open.done() == 1);
  answering.join();
  std::thread last([&] {
    third(said(3));
    first(said(1));
  });
  open.Wait();
  CHECK(open.done() == 3);
  last.join();
  for (size_t i = 0; i < 3; ++i) CHECK(verdicts[i].score() == static_cast<double>(i + 1));
}

}  // namespace
}  // namespace hone::testing
