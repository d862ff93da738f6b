#include "libs/reward/judge.h"

#include <atomic>
#include <condition_variable>

#include "tests/reward/items.h"
#include "tests/testing/test.h"

namespace hone::testing {
namespace {

using std::chrono::milliseconds;

// Items whose completion is "hang" stay until it opens, whatever their deadline; "wait" ones leave
// at their deadline.
class Door {
 public:
  void Open() {
    MutexLock lock(mu_);
    open_ = true;
    changed_.notify_all();
  }
  bool WaitUntil(TimePoint deadline) {
    MutexLock lock(mu_);
    ++inside_;
    return lock.WaitUntil(changed_, deadline,
                          [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return open_; });
  }
  int inside() {
    MutexLock lock(mu_);
    return inside_;
  }

 private:
  Mutex mu_;
  std::condition_variable changed_;
  bool open_ ABSL_GUARDED_BY(mu_) = false;
  int inside_ ABSL_GUARDED_BY(mu_) = 0;
};

struct Calls {
  std::atomic<int> program{0};
};

class ProgramScorer final : public Scorer {
 public:
  ProgramScorer(Door& door, Calls& calls, bool blocks)
      : door_(door), calls_(calls), blocks_(blocks) {}
  bool blocks() const override { return blocks_; }
  v1::ScorePart Score(const v1::ScoreItem& item, TimePoint deadline) const override {
    ++calls_.program;
    if (item.completion() == "hang") door_.WaitUntil(kNoDeadline);
    if (item.completion() == "wait" && !door_.WaitUntil(deadline))
      return Unscored(v1::OUTCOME_TIMEOUT, "ran out of time");
    if (item.completion() == "crash") return Unscored(v1::OUTCOME_CRASHED, "");
    if (item.completion() == "abort") return Unscored(v1::OUTCOME_VERIFIER_UNAVAILABLE, "");
    if (item.completion() == "bad") return Unscored(v1::OUTCOME_COMPILE_ERROR, "");
    return Scored(1, "ran");
  }

 private:
  Door& door_;
  Calls& calls_;
  const bool blocks_;
};

struct Bench {
  explicit Bench(Judge::Options options, const std::string& version = "1") {
    const auto add = [&](const char* name, bool blocks) {
      CHECK_OK(registry.Register({name, "", version}, [this, blocks](Options& o) {
        o.Number("level", 1, 0, 9);
        return std::make_unique<ProgramScorer>(door, calls, blocks);
      }));
    };
    add("program", true);
    add("rule", false);
    judge = std::make_unique<Judge>(options);
    lane = judge->NewLane();
  }
  ~Bench() {
    door.Open();
    judge.reset();
  }

  std::shared_ptr<const RewardFunction> Make(const std::string& json) {
    auto made = RewardFunction::Create(Spec(json), registry);
    REQUIRE_OK(made);
    return std::make_shared<const RewardFunction>(*std::move(made));
  }
  void Submit(const std::shared_ptr<const RewardFunction>& function, const std::string& completion,
              double timeout = 0) {
    v1::ScoreItem item = Item(completion);
    item.set_timeout_seconds(timeout);
    CHECK_OK(judge->Submit(lane, function, std::move(item), kNoDeadline, [this](v1::Verdict v) {
      MutexLock lock(mu);
      verdicts.push_back(std::move(v));
      changed.notify_all();
    }));
  }
  // False: not so many came within a long time.
  bool Wait(size_t count) {
    MutexLock lock(mu);
    return lock.WaitUntil(
        changed, SystemClock::Get().Now() + std::chrono::seconds(20),
        [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) { return verdicts.size() >= count; });
  }

  Door door;
  Calls calls;
  Registry registry;
  std::unique_ptr<Judge> judge;
  std::shared_ptr<Judge::Lane> lane;
  Mutex mu;
  std::condition_variable changed;
  std::vector<v1::Verdict> verdicts ABSL_GUARDED_BY(mu);
};

Judge::Options Small() {
  Judge::Options options;
  options.threads = 1;
  options.blocking_threads = 2;
  options.spare_threads = 8;
  options.slow_after = milliseconds(40);
  options.grace = milliseconds(50);
  return options;
}

constexpr char kProgram[] = R"({"scorers": [{"name": "program"}]})";
constexpr char kRule[] = R"({"scorers": [{"name": "rule"}]})";

TEST_CASE("rules do not wait behind programs", "[judge]") {
  Bench b(Small());
  const auto program = b.Make(kProgram);
  for (int i = 0; i < 20; ++i) b.Submit(program, "hang");
  const auto rule = b.Make(kRule);
  for (int i = 0; i < 100; ++i) b.Submit(rule, "x");
  CHECK(b.Wait(100));
  b.door.Open();
  CHECK(b.Wait(120));
}

TEST_CASE("an item that hangs gives its place to the next", "[judge]") {
  Bench b(Small());
  const auto program = b.Make(kProgram);
  for (int i = 0; i < 6; ++i) b.Submit(program, "hang");
  for (int i = 0; i < 50; ++i) b.Submit(program, "x");
  CHECK(b.Wait(50));  // six of two threads hang, and yet
  for (int i = 0; i < 1000 && b.judge->stats().slow < 6; ++i)
    std::this_thread::sleep_for(milliseconds(5));
  CHECK(b.judge->stats().slow == 6);
  b.door.Open();
  CHECK(b.Wait(56));
  for (int i = 0; i < 1000 && b.judge->stats().slow > 0; ++i)
    std::this_thread::sleep_for(milliseconds(5));
  CHECK(b.judge->stats().slow == 0);
  // Also a rule, which should never.
  b.Submit(b.Make(kRule), "x");
  CHECK(b.Wait(57));
}

TEST_CASE("an item has its time: its own, else the reward's, else the judge's", "[judge]") {
  Judge::Options options = Small();
  options.timeout = milliseconds(30);
  Bench b(options);
  const auto plain = b.Make(kProgram);
  b.Submit(plain, "wait");
  REQUIRE(b.Wait(1));
  const auto patient = b.Make(R"({"scorers": [{"name": "program"}], "timeoutSeconds": 0.2})");
  b.Submit(patient, "wait");
  REQUIRE(b.Wait(2));
  b.Submit(patient, "wait", 0.1);
  REQUIRE(b.Wait(3));
  const auto strict =
      b.Make(R"({"scorers": [{"name": "program", "timeoutSeconds": 0.06}], "timeoutSeconds": 5})");
  b.Submit(strict, "wait");
  REQUIRE(b.Wait(4));
  MutexLock lock(b.mu);
  const double least[] = {0.03, 0.2, 0.1, 0.06};
  for (int i = 0; i < 4; ++i) {
    INFO(i);
    const v1::Verdict& v = b.verdicts[static_cast<size_t>(i)];
    CHECK(v.outcome() == v1::OUTCOME_TIMEOUT);
    CHECK(v.parts(0).reason() == "ran out of time");             // the scorer knows best
    CHECK(v.queue_seconds() + v.seconds() >= least[i] - 0.001);  // since it arrived
    CHECK(v.seconds() < least[i] + 4);
  }
}

TEST_CASE("a scorer that does not end is answered for, a waiting item too", "[judge]") {
  Judge::Options options = Small();
  options.spare_threads = 0;
  Bench b(options);
  const auto program = b.Make(kProgram);
  b.Submit(program, "hang", 0.02);
  b.Submit(program, "hang", 0.02);
  while (b.door.inside() < 2) std::this_thread::sleep_for(milliseconds(1));
  b.Submit(program, "x", 0.02);  // no thread left
  REQUIRE(b.Wait(3));
  {
    MutexLock lock(b.mu);
    int waited = 0;
    for (const v1::Verdict& v : b.verdicts) {
      CHECK(v.outcome() == v1::OUTCOME_TIMEOUT);
      REQUIRE(v.parts_size() == 1);
      CHECK(v.parts(0).scorer() == "program");
      waited += v.parts(0).reason().find("for a thread") != std::string::npos;
    }
    CHECK(waited == 1);
  }
  b.door.Open();
  b.Submit(program, "x");
  CHECK(b.Wait(4));
  std::this_thread::sleep_for(milliseconds(50));
  MutexLock lock(b.mu);
  CHECK(b.verdicts.size() == 4);  // what the two said in the end was forgotten
}

TEST_CASE("cancelled items are counted and never answered", "[judge]") {
  Bench b(Small());
  const auto program = b.Make(kProgram);
  for (int i = 0; i < 5; ++i) b.Submit(program, "hang");
  while (b.door.inside() < 2) std::this_thread::sleep_for(milliseconds(1));
  CHECK(b.judge->Cancel(*b.lane) == 5);
  CHECK(b.judge->Cancel(*b.lane) == 0);
  b.door.Open();
  b.Submit(program, "x");
  CHECK(b.Wait(1));
  std::this_thread::sleep_for(milliseconds(20));
  MutexLock lock(b.mu);
  CHECK(b.verdicts.size() == 1);
}

TEST_CASE("timeouts out of range are refused", "[judge]") {
  Bench b(Small());
  const auto rule = b.Make(kRule);
  for (const double wrong : {-1.0, 1e9, std::nan("")}) {
    v1::ScoreItem item = Item("x");
    item.set_timeout_seconds(wrong);
    CHECK_CODE(b.judge->Submit(b.lane, rule, item, kNoDeadline, [](v1::Verdict) {}),
               absl::StatusCode::kInvalidArgument);
  }
  CHECK_CODE(RewardFunction::Create(
                 Spec(R"({"scorers": [{"name": "rule"}], "timeoutSeconds": -1})"), b.registry),
             absl::StatusCode::kInvalidArgument);
  CHECK_CODE(RewardFunction::Create(
                 Spec(R"({"scorers": [{"name": "rule", "timeoutSeconds": 1e6}]})"), b.registry),
             absl::StatusCode::kInvalidArgument);
}

TEST_CASE("what is certain is judged once", "[judge]") {
  Judge::Options options = Small();
  options.cache_bytes = 1 << 20;
  Bench b(options);
  const auto program = b.Make(kProgram);
  const auto judge = [&](const std::shared_ptr<const RewardFunction>& f, const char* text) {
    const size_t before = [&] {
      MutexLock lock(b.mu);
      return b.verdicts.size();
    }();
    b.Submit(f, text);
    REQUIRE(b.Wait(before + 1));
    MutexLock lock(b.mu);
    v1::Verdict v = b.verdicts.back();
    CHECK(v.seconds() > 0);
    v.clear_seconds();
    v.clear_queue_seconds();
    for (v1::ScorePart& part : *v.mutable_parts()) part.clear_seconds();
    return v.SerializeAsString();
  };
  const std::string first = judge(program, "x");
  CHECK(judge(program, "x") == first);
  CHECK(judge(program, "bad") == judge(program, "bad"));
  CHECK(b.calls.program == 2);
  for (const char* text : {"crash", "abort"}) {
    judge(program, text);
    judge(program, text);
  }
  CHECK(b.calls.program == 6);
  // Another weight, option or completion is another question; another timeout is not.
  judge(b.Make(R"({"scorers": [{"name": "program", "weight": 2}]})"), "x");
  judge(b.Make(R"({"scorers": [{"name": "program", "options": {"level": 2}}]})"), "x");
  judge(program, "x ");
  CHECK(b.calls.program == 9);
  judge(b.Make(R"({"scorers": [{"name": "program", "timeoutSeconds": 9}], "timeoutSeconds": 9})"),
        "x");
  judge(b.Make(R"({"scorers": [{"name": "program", "weight": 1}]})"), "x");
  CHECK(b.calls.program == 9);
  // Rules are not remembered.
  const auto rule = b.Make(kRule);
  judge(rule, "x");
  judge(rule, "x");
  CHECK(b.calls.program == 11);
  const VerdictCache::Stats stats = b.judge->stats().cache;
  CHECK(stats.hits == 4);
  CHECK(stats.misses == 9);
}

TEST_CASE("the cache keeps what was asked for last within its bytes", "[judge]") {
  Bench b(Small());
  const auto f = b.Make(kProgram);
  VerdictCache cache(3000);
  const auto key = [&](int i) { return VerdictCache::KeyOf(*f, Item(absl::StrCat(i))); };
  const v1::Verdict verdict = f->Score(Item("x"));
  for (int i = 0; i < 100; ++i) {
    cache.Insert(key(i), verdict);
    CHECK(cache.Find(key(0)).has_value());
    CHECK(cache.stats().bytes <= 3000);
  }
  CHECK(cache.stats().entries > 3);
  CHECK(cache.Find(key(99)).has_value());
  CHECK_FALSE(cache.Find(key(50)).has_value());
  CHECK(cache.Find(key(99))->SerializeAsString() == verdict.SerializeAsString());
  // One that is larger than everything is not kept, and drives out nothing.
  v1::Verdict large = verdict;
  large.mutable_parts(0)->set_reason(std::string(5000, 'x'));
  cache.Insert(key(1000), large);
  CHECK_FALSE(cache.Find(key(1000)).has_value());
  CHECK(cache.Find(key(99)).has_value());
}

TEST_CASE("the key has everything that a verdict depends on", "[judge]") {
  Bench b(Small()), newer(Small(), "2");
  const auto f = b.Make(kProgram);
  const v1::ScoreItem base = Item("x", R"({"id": "p", "text": "t", "answer": "a",
                                          "metadata": {"k": 1, "l": [1, 2], "m": "n"}})");
  const VerdictCache::Key key = VerdictCache::KeyOf(*f, base);
  CHECK(key == VerdictCache::KeyOf(*b.Make(kProgram), base));
  CHECK(key != VerdictCache::KeyOf(*newer.Make(kProgram), base));  // the scorer's version
  const auto differs = [&](auto change) {
    v1::ScoreItem item = base;
    change(item);
    CHECK(VerdictCache::KeyOf(*f, item) != key);
  };
  differs([](v1::ScoreItem& i) { i.set_completion("y"); });
  differs([](v1::ScoreItem& i) { i.set_finish_reason(v1::FINISH_REASON_LENGTH); });
  differs([](v1::ScoreItem& i) { i.set_completion_tokens(7); });
  differs([](v1::ScoreItem& i) { i.mutable_prompt()->set_text("u"); });
  differs([](v1::ScoreItem& i) { i.mutable_prompt()->set_answer("b"); });
  differs([](v1::ScoreItem& i) {
    (*i.mutable_prompt()->mutable_metadata()->mutable_fields())["k"].set_number_value(2);
  });
  v1::ScoreItem other = base;
  other.set_item_id(77);
  other.set_timeout_seconds(3);
  CHECK(VerdictCache::KeyOf(*f, other) == key);
}

}  // namespace
}  // namespace hone::testing
