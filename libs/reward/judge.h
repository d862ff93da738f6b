#pragma once

// Judges items on threads that callers share, each within its time. What the reward service and
// `hone score` do with a RewardFunction.

#include <functional>
#include <map>
#include <memory>

#include "libs/base/mutex.h"
#include "libs/base/periodic.h"
#include "libs/reward/fair_pool.h"
#include "libs/reward/reward_function.h"
#include "libs/reward/verdict_cache.h"

namespace hone {

// Items of functions that block (wait for a program or a server) have threads of their own, so that
// no rule waits behind them; in both groups an item that takes long gets a spare thread in its
// place. An item whose time is over is answered with OUTCOME_TIMEOUT: at once where it still waits
// for a thread, and after `grace` where a scorer has it, which knows better why it took so long and
// answers by itself unless it is broken. What a broken one says later is forgotten. Thread-safe.
class Judge {
 public:
  struct Options {
    int threads = 1;             // for rules
    int blocking_threads = 128;  // for functions that block
    int spare_threads = 128;  // at most, of each group, for items that take more than `slow_after`
    Duration slow_after = std::chrono::milliseconds(250);
    Duration timeout = std::chrono::minutes(5);  // of items that ask for none
    Duration grace = std::chrono::seconds(1);
    int64_t cache_bytes = 0;  // 0: no cache. Only verdicts of functions that block are remembered:
                              // a rule is as fast as looking it up.
  };
  // Called once per item, on some thread of the judge, without locks; must not block.
  using Done = std::function<void(v1::Verdict)>;

  // One caller: its items take turns with those of others. Any thread may use it.
  class Lane;

  explicit Judge(const Options& options);
  // Waits for what is being judged; lanes have nothing open any more, or were cancelled.
  ~Judge();

  std::shared_ptr<Lane> NewLane();
  // `latest`: when the caller itself gives up. INVALID_ARGUMENT, and nothing done, for a timeout
  // out of range. Never waits: a caller bounds what it has open.
  absl::Status Submit(const std::shared_ptr<Lane>& lane,
                      std::shared_ptr<const RewardFunction> function, v1::ScoreItem item,
                      TimePoint latest, Done done);
  // Forgets the lane's open items; how many they were. `done` will not be called for these, and has
  // been or is being called for all others. Those that a scorer has keep their thread until it
  // ends, and nothing else.
  size_t Cancel(Lane& lane);

  struct Stats {
    size_t waiting = 0;  // items without a thread
    size_t running = 0;  // items that a scorer has, answered or not
    size_t slow = 0;     // items that have had one for longer than slow_after
    VerdictCache::Stats cache;
  };
  Stats stats() const;

 private:
  struct Entry;

  void Work(const std::shared_ptr<Entry>& entry);
  v1::Verdict Find(const Entry& entry);
  // Takes the right to answer; false when somebody else has, or nobody may.
  bool Close(Entry& entry);
  void AnswerLate();

  const Options options_;
  std::unique_ptr<VerdictCache> cache_;  // or null
  Mutex mu_;
  std::map<Lane*, std::weak_ptr<Lane>> lanes_ ABSL_GUARDED_BY(mu_);
  FairPool rules_;
  FairPool blocking_;
  Periodic watch_;
};

}  // namespace hone
