#include "libs/reward/verdict_cache.h"

#include <openssl/evp.h>

#include <algorithm>
#include <memory>

#include "libs/base/check.h"

namespace hone {
namespace {

// List node, map node and the allocator's own, about.
constexpr int64_t kOverhead = 192;

class Digest {
 public:
  Digest() : context_(EVP_MD_CTX_new(), &EVP_MD_CTX_free) {
    HONE_CHECK(EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1);
  }
  // With its length first, so that no two lists of fields are the same bytes.
  void Add(absl::string_view field) {
    Add(static_cast<uint64_t>(field.size()));
    HONE_CHECK(EVP_DigestUpdate(context_.get(), field.data(), field.size()) == 1);
  }
  void Add(uint64_t number) {
    HONE_CHECK(EVP_DigestUpdate(context_.get(), &number, sizeof number) == 1);
  }
  VerdictCache::Key Finish() {
    VerdictCache::Key key;
    HONE_CHECK(EVP_DigestFinal_ex(context_.get(), key.data(), nullptr) == 1);
    return key;
  }

 private:
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

bool IsLasting(v1::Outcome outcome) {
  switch (outcome) {
    case v1::OUTCOME_SCORED:
    case v1::OUTCOME_UNPARSED:
    case v1::OUTCOME_OUTPUT_LIMIT:
    case v1::OUTCOME_COMPILE_ERROR:
    case v1::OUTCOME_BUDGET:
    case v1::OUTCOME_BAD_REFERENCE:
    case v1::OUTCOME_ABSTAINED:
      return true;
    default:
      return false;
  }
}

}  // namespace

VerdictCache::Key VerdictCache::KeyOf(const RewardFunction& function, const v1::ScoreItem& item) {
  Digest digest;
  digest.Add(function.identity());
  const std::string prompt = DeterministicBytes(item.prompt());
  digest.Add(prompt);
  digest.Add(item.completion());
  digest.Add(static_cast<uint64_t>(item.finish_reason()));
  digest.Add(static_cast<uint64_t>(item.completion_tokens()));
  return digest.Finish();
}

bool VerdictCache::Keeps(const v1::Verdict& verdict) {
  return verdict.parts_size() > 0 &&
         std::all_of(verdict.parts().begin(), verdict.parts().end(),
                     [](const v1::ScorePart& p) { return IsLasting(p.outcome()); });
}

std::optional<v1::Verdict> VerdictCache::Find(const Key& key) {
  std::string bytes;
  {
    MutexLock lock(mu_);
    const auto it = by_key_.find(key);
    ++(it == by_key_.end() ? stats_.misses : stats_.hits);
    if (it == by_key_.end()) return std::nullopt;
    entries_.splice(entries_.begin(), entries_, it->second);
    bytes = it->second->verdict;
  }
  v1::Verdict verdict;
  HONE_CHECK(verdict.ParseFromString(bytes));
  return verdict;
}

void VerdictCache::Insert(const Key& key, const v1::Verdict& verdict) {
  if (!Keeps(verdict)) return;
  const auto size = [](const Entry& e) {
    return static_cast<int64_t>(e.verdict.size()) + kOverhead;
  };
  Entry entry{key, verdict.SerializeAsString()};
  if (size(entry) > most_bytes_) return;
  MutexLock lock(mu_);
  if (by_key_.count(key) > 0) return;  // two were judged at once
  stats_.bytes += size(entry);
  entries_.push_front(std::move(entry));
  by_key_[key] = entries_.begin();
  while (stats_.bytes > most_bytes_) {
    stats_.bytes -= size(entries_.back());
    by_key_.erase(entries_.back().key);
    entries_.pop_back();
  }
}

VerdictCache::Stats VerdictCache::stats() const {
  MutexLock lock(mu_);
  Stats stats = stats_;
  stats.entries = static_cast<int64_t>(entries_.size());
  return stats;
}

}  // namespace hone
