#pragma once

// Verdicts that need not be found again.

#include <array>
#include <cstdint>
#include <list>
#include <map>
#include <optional>
#include <string>

#include "libs/base/mutex.h"
#include "libs/reward/reward_function.h"

namespace hone {

// Keeps the verdicts asked for last, within a number of bytes, by the content of what was judged:
// the reward specification with the versions of its scorers, the prompt, the completion, its number
// of tokens and its finish reason. Timeouts are not part of it, because a verdict that they could
// change is not kept. Thread-safe.
class VerdictCache {
 public:
  // SHA-256: clients share a cache, and none may find two items of one key.
  using Key = std::array<uint8_t, 32>;
  static Key KeyOf(const RewardFunction& function, const v1::ScoreItem& item);

  // Whether judging again could not say anything else: no part timed out, ran out of memory,
  // crashed, or found its verifier unavailable. Those may be this machine's fault.
  static bool Keeps(const v1::Verdict& verdict);

  // `bytes` > 0, of everything that it holds, its own overhead estimated.
  explicit VerdictCache(int64_t bytes) : most_bytes_(bytes) {}

  // As it was put in.
  std::optional<v1::Verdict> Find(const Key& key);
  // Nothing unless Keeps(verdict). The least recently used ones make room.
  void Insert(const Key& key, const v1::Verdict& verdict);

  struct Stats {
    int64_t hits = 0, misses = 0, entries = 0, bytes = 0;
  };
  Stats stats() const;

 private:
  struct Entry {
    Key key;
    std::string verdict;  // serialised: a quarter of the message's memory
  };

  const int64_t most_bytes_;
  mutable Mutex mu_;
  std::list<Entry> entries_ ABSL_GUARDED_BY(mu_);  // the most recently used one first
  std::map<Key, std::list<Entry>::iterator> by_key_ ABSL_GUARDED_BY(mu_);
  Stats stats_ ABSL_GUARDED_BY(mu_);
};

}  // namespace hone
