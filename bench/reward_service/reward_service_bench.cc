// What one bad item costs its neighbours: batches of 1024 items through the service over loopback,
// in turns with and without a bad one among them; the time is that of the last verdict of the
// others, the delay the median over pairs, with a 95 % interval that supposes nothing of how times
// are distributed. Which of a pair comes first alternates. The control, in which both are alike,
// says what the machine adds.
// `reward_service_bench [rounds [rule threads [cases]]]`, default 15 (an interval needs 8), one
// more than there are processors, and all cases; else those with that text in their name.

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"
#include "libs/rpc/server.h"
#include "services/reward/reward_service.h"

namespace hone {
namespace {

using std::chrono::milliseconds;

constexpr int kItems = 1024;

// A rule with a bug: math, but for one item, which it keeps until its deadline.
class HangingMath final : public Scorer {
 public:
  explicit HangingMath(std::unique_ptr<Scorer> math) : math_(std::move(math)) {}
  v1::ScorePart Score(const v1::ScoreItem& item, TimePoint deadline) const override {
    if (item.completion() != "hang") return math_->Score(item, deadline);
    SystemClock::Get().SleepFor(deadline - SystemClock::Get().Now());
    return Unscored(v1::OUTCOME_TIMEOUT, "hung");
  }

 private:
  const std::unique_ptr<Scorer> math_;
};

// Stands for a program in a sandbox: sleeps 5 ms, or until its deadline.
class SleepingScorer final : public Scorer {
 public:
  explicit SleepingScorer(bool blocks) : blocks_(blocks) {}
  bool blocks() const override { return blocks_; }
  v1::ScorePart Score(const v1::ScoreItem& item, TimePoint deadline) const override {
    const TimePoint now = SystemClock::Get().Now();
    const bool hangs = item.completion() == "hang";
    SystemClock::Get().SleepFor(hangs ? deadline - now : Duration(milliseconds(blocks_ ? 5 : 0)));
    return hangs ? Unscored(v1::OUTCOME_TIMEOUT, "hung") : Scored(1, "ran");
  }

 private:
  const bool blocks_;
};

struct Case {
  const char* name;
  const char* scorer;
  std::string good, bad;
  std::string plain;     // what stands in the bad one's place without it; "": another good one
  double timeout = 0.5;  // of an item, in s; what hangs ends then
};

// Seconds until the last verdict but that of item `odd`, whose completion is `text`.
double Time(v1::RewardService::Stub& stub, const Case& c, int odd, const std::string& text) {
  v1::ScoreRequest request;
  request.mutable_reward()->add_scorers()->set_name(c.scorer);
  request.mutable_reward()->set_timeout_seconds(c.timeout);
  for (int i = 0; i < kItems; ++i) {
    v1::ScoreItem& item = *request.add_items();
    item.set_item_id(static_cast<uint64_t>(i));
    item.set_completion(i == odd ? text : c.good);
    item.mutable_prompt()->set_answer("18");
  }
  grpc::ClientContext context;
  const TimePoint start = SystemClock::Get().Now();
  const auto stream = stub.Score(&context);
  stream->Write(request);
  v1::ScoreResponse response;
  int missing = kItems - 1, late = 0;
  TimePoint last = start;
  while (missing > 0 && stream->Read(&response)) {
    if (response.item_id() == static_cast<uint64_t>(odd)) continue;
    --missing;
    if (response.verdict().outcome() == v1::OUTCOME_TIMEOUT) ++late;
    last = SystemClock::Get().Now();
  }
  if (missing > 0) std::printf("%d verdicts did not come\n", missing);
  if (late > 0) std::printf("%d good items timed out: the machine is too busy\n", late);
  context.TryCancel();
  return std::chrono::duration<double>(last - start).count();
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// "-0.12 to +0.34 %": the order statistics between which the median lies with 95 % probability.
std::string Interval(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const auto n = static_cast<double>(values.size());
  const auto rank = static_cast<int64_t>(std::floor((n - 1.96 * std::sqrt(n)) / 2));
  if (rank < 1) return "no interval: too few rounds";
  const auto low = static_cast<size_t>(rank - 1);
  char text[64];
  std::snprintf(text, sizeof text, "%+.2f to %+.2f %%", 100 * values[low],
                100 * values[values.size() - 1 - low]);
  return text;
}

int Main(int rounds, int threads, const std::string& only) {
  Registry registry;
  const auto add = [&](const char* name, bool blocks) {
    return registry.Register(
        {name, "", "1"}, [blocks](Options&) { return std::make_unique<SleepingScorer>(blocks); });
  };
  if (!RegisterBuiltinScorers(registry).ok() || !add("program", true).ok() ||
      !add("rule", false).ok() ||
      !registry
           .Register({"hanging_math", "", "1"},
                     [](Options&) -> absl::StatusOr<std::unique_ptr<Scorer>> {
                       auto math = BuiltinScorers().Make("math", {});
                       if (!math.ok()) return math.status();
                       return std::make_unique<HangingMath>(*std::move(math));
                     })
           .ok())
    return 1;
  Judge::Options options;
  options.threads = threads;
  RewardService service(registry, options, nullptr);
  auto server = rpc::Server::Start({.listen = "127.0.0.1:0"}, {&service});
  if (!server.ok()) return 1;
  const auto stub = v1::RewardService::NewStub(grpc::CreateChannel(
      "127.0.0.1:" + std::to_string((*server)->port()), grpc::InsecureChannelCredentials()));
  const std::string solution =
      "Janet sells 16 - 3 - 4 = <<16-3-4=9>>9 duck eggs a day. She makes 9 * 2 = $<<9*2=18>>18 "
      "every "
      "day at the farmer's market. The answer is \\boxed{18}.";
  std::string poison;
  while (poison.size() < (size_t{1} << 20)) poison += "\\boxed{\\frac{1}{";
  std::string prose;  // as long, and no trouble
  while (prose.size() < poison.size()) prose += "and so there are 18 eggs. ";
  const std::string tower = "The answer is \\boxed{9^{9^{9^{9^{9}}}} - \\sqrt{2}^{3^{3^{3^{3}}}}}.";
  const Case cases[] = {
      {"programs of 5 ms, one hangs", "program", "x", "hang", ""},
      {"math, one with a tower of powers", "math", solution, tower, ""},
      {"math, one of 1 MiB of unclosed braces", "math", solution, poison, ""},
      {"the same, against 1 MiB of prose", "math", solution, poison, prose},
      {"a rule that takes no time, one hangs (a bug)", "rule", "x", "hang", ""},
      {"rules: math, one hangs (a bug)", "hanging_math", solution, "hang", "", 0.2},
      {"rules: math, none hangs (control)", "hanging_math", solution, solution, "", 0.2},
  };
  std::printf("%d items a batch, %d rule threads, %d for programs, %d rounds; medians\n", kItems,
              options.threads, options.blocking_threads, rounds);
  for (const Case& c : cases) {
    if (std::string(c.name).find(only) == std::string::npos) continue;
    std::vector<double> without, with, delay;
    const std::string& plain = c.plain.empty() ? c.good : c.plain;
    // Both of a pair begin on a service that is idle and has just had a batch.
    const auto time = [&](int odd, const std::string& text) {
      while (!service.idle()) SystemClock::Get().SleepFor(milliseconds(5));
      Time(*stub, c, 0, c.good);
      return Time(*stub, c, odd, text);
    };
    for (int i = 0; i < rounds; ++i) {
      const int odd = i * 67 % kItems;
      for (const bool bad : {i % 2 == 1, i % 2 == 0})
        (bad ? with : without).push_back(time(odd, bad ? c.bad : plain));
      delay.push_back(with.back() / without.back() - 1);
    }
    const double base = Median(without);
    std::printf("%-46s %8.2f ms without, %8.2f ms with it, %+.2f %% (%s; %.0f items/s)\n", c.name,
                1e3 * base, 1e3 * Median(with), 100 * Median(delay), Interval(delay).c_str(),
                kItems / base);
    std::fflush(stdout);
  }
  (*server)->Shutdown(std::chrono::seconds(5));
  return 0;
}

}  // namespace
}  // namespace hone

int main(int argc, char** argv) {
  const int processors = static_cast<int>(std::thread::hardware_concurrency());
  return hone::Main(argc > 1 ? std::max(1, std::atoi(argv[1])) : 15,
                    argc > 2 ? std::max(1, std::atoi(argv[2])) : processors + 1,
                    argc > 3 ? argv[3] : "");
}
