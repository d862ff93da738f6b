#include "libs/reward/judge.h"

#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace hone {
namespace {

double SecondsBetween(TimePoint from, TimePoint to) {
  return std::chrono::duration<double>(to - from).count();
}

}  // namespace

struct Judge::Entry {
  using ByDeadline = std::multimap<TimePoint, std::shared_ptr<Entry>>;

  std::shared_ptr<Lane> lane;
  std::shared_ptr<const RewardFunction> function;
  std::shared_ptr<const v1::ScoreItem> item;
  Done done;
  TimePoint arrived;
  TimePoint deadline;
  // Under the lane's lock.
  bool open = true;  // it is in its lane, at `place`
  ByDeadline::iterator place;
  TimePoint began = kNoDeadline;  // when a thread took it
};

class Judge::Lane {
 public:
  Lane(uint64_t rule_lane, uint64_t blocking_lane) : rules(rule_lane), blocking(blocking_lane) {}

  const uint64_t rules, blocking;  // of the two pools
  Mutex mu;
  Entry::ByDeadline open ABSL_GUARDED_BY(mu);  // `done` was not called, and nobody is about to
};

Judge::Judge(const Options& options)
    : options_(options),
      cache_(options.cache_bytes > 0 ? std::make_unique<VerdictCache>(options.cache_bytes)
                                     : nullptr),
      rules_(options.threads, options.spare_threads, options.slow_after),
      blocking_(options.blocking_threads, options.spare_threads, options.slow_after),
      watch_("deadlines", std::chrono::milliseconds(25), [this] { AnswerLate(); }) {}

Judge::~Judge() {
  watch_.Stop();
}

std::shared_ptr<Judge::Lane> Judge::NewLane() {
  auto lane = std::make_shared<Lane>(rules_.NewLane(), blocking_.NewLane());
  MutexLock lock(mu_);
  lanes_[lane.get()] = lane;
  return lane;
}

absl::Status Judge::Submit(const std::shared_ptr<Lane>& lane,
                           std::shared_ptr<const RewardFunction> function, v1::ScoreItem item,
                           TimePoint latest, Done done) {
  double seconds = item.timeout_seconds();
  if (!(seconds >= 0 && seconds <= RewardFunction::kMaxTimeout))
    return absl::InvalidArgumentError(absl::StrCat("item ", item.item_id(), ": timeout_seconds is ",
                                                   seconds, ", expected 0 to ",
                                                   RewardFunction::kMaxTimeout));
  if (seconds == 0) seconds = function->timeout_seconds();
  const Duration timeout =
      seconds == 0 ? options_.timeout : Duration(static_cast<int64_t>(seconds * 1e9));
  auto entry = std::make_shared<Entry>();
  entry->lane = lane;
  entry->function = std::move(function);
  entry->item = std::make_shared<const v1::ScoreItem>(std::move(item));
  entry->done = std::move(done);
  entry->arrived = SystemClock::Get().Now();
  entry->deadline = std::min(latest, entry->arrived + timeout);
  const bool blocks = entry->function->blocks();
  {
    MutexLock lock(lane->mu);
    entry->place = lane->open.emplace(entry->deadline, entry);
  }
  (blocks ? blocking_ : rules_).Submit(blocks ? lane->blocking : lane->rules, [this, entry] {
    Work(entry);
  });
  return absl::OkStatus();
}

size_t Judge::Cancel(Lane& lane) {
  Entry::ByDeadline forgotten;  // destroyed without the lock
  {
    MutexLock lock(lane.mu);
    forgotten.swap(lane.open);
    for (auto& [deadline, entry] : forgotten) entry->open = false;
  }
  rules_.Cancel(lane.rules);
  blocking_.Cancel(lane.blocking);
  return forgotten.size();
}

bool Judge::Close(Entry& entry) {
  MutexLock lock(entry.lane->mu);
  if (!entry.open) return false;
  entry.lane->open.erase(entry.place);
  entry.open = false;
  return true;
}

void Judge::Work(const std::shared_ptr<Entry>& entry) {
  {
    MutexLock lock(entry->lane->mu);
    if (!entry->open) return;
    entry->began = SystemClock::Get().Now();
  }
  v1::Verdict verdict = Find(*entry);
  if (!Close(*entry)) return;
  verdict.set_queue_seconds(SecondsBetween(entry->arrived, entry->began));
  verdict.set_seconds(SecondsBetween(entry->began, SystemClock::Get().Now()));
  entry->done(std::move(verdict));
}

v1::Verdict Judge::Find(const Entry& entry) {
  if (cache_ == nullptr || !entry.function->blocks())
    return entry.function->Score(*entry.item, entry.deadline);
  const VerdictCache::Key key = VerdictCache::KeyOf(*entry.function, *entry.item);
  if (std::optional<v1::Verdict> known = cache_->Find(key)) return *std::move(known);
  v1::Verdict verdict = entry.function->Score(*entry.item, entry.deadline);
  cache_->Insert(key, verdict);
  return verdict;
}

void Judge::AnswerLate() {
  const TimePoint now = SystemClock::Get().Now();
  std::vector<std::shared_ptr<Lane>> lanes;
  {
    MutexLock lock(mu_);
    for (auto it = lanes_.begin(); it != lanes_.end();) {
      std::shared_ptr<Lane> lane = it->second.lock();
      it = lane == nullptr ? lanes_.erase(it) : std::next(it);
      if (lane != nullptr) lanes.push_back(std::move(lane));
    }
  }
  std::vector<std::shared_ptr<Entry>> late;
  for (const std::shared_ptr<Lane>& lane : lanes) {
    MutexLock lock(lane->mu);
    for (auto it = lane->open.begin(); it != lane->open.end() && it->first <= now;) {
      Entry& entry = *it->second;
      const bool judging = entry.began != kNoDeadline;
      if (judging && now - it->first < options_.grace) {
        ++it;
        continue;
      }
      late.push_back(it->second);
      entry.open = false;
      it = lane->open.erase(it);
    }
  }
  for (const std::shared_ptr<Entry>& entry : late) {
    const bool judging = entry->began != kNoDeadline;
    const double allowed = SecondsBetween(entry->arrived, entry->deadline);
    v1::Verdict verdict = entry->function->Unjudged(
        v1::OUTCOME_TIMEOUT,
        judging ? absl::StrFormat("not judged within %.3g s: a scorer does not end", allowed)
                : absl::StrFormat("waited %.3g s for a thread", allowed));
    const TimePoint began = judging ? entry->began : now;
    verdict.set_queue_seconds(SecondsBetween(entry->arrived, began));
    verdict.set_seconds(SecondsBetween(began, now));
    Done done = std::move(entry->done);
    if (!judging) entry->item.reset();  // its task is still in the queue, and will do nothing
    done(std::move(verdict));
  }
}

Judge::Stats Judge::stats() const {
  Stats stats;
  stats.waiting = rules_.waiting() + blocking_.waiting();
  stats.running = rules_.running() + blocking_.running();
  stats.slow = rules_.slow() + blocking_.slow();
  if (cache_ != nullptr) stats.cache = cache_->stats();
  return stats;
}

}  // namespace hone
