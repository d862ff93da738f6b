#include "libs/reward/code/host.h"

#include "absl/strings/str_cat.h"
#include "libs/base/status.h"

namespace hone::code {

std::vector<std::string> NodeCommand(const std::string& file) {
  return {"/usr/bin/env", "OPENSSL_CONF=/dev/null", "/usr/bin/node", file};
}

absl::StatusOr<Host::Pair> Host::StartPair(const sandbox::Task& tester,
                                           const sandbox::Task& program, TimePoint deadline) {
  std::unique_lock<std::timed_mutex> lock(pairing_, std::defer_lock);
  if (deadline == kNoDeadline) {
    lock.lock();
  } else if (!lock.try_lock_until(deadline)) {
    return absl::DeadlineExceededError("no two slots were free until the deadline");
  }
  Pair pair;
  HONE_ASSIGN_OR_RETURN(pair.tester, sandbox_.Start(tester, deadline));
  HONE_ASSIGN_OR_RETURN(pair.program, sandbox_.Start(program, deadline));
  return pair;
}

std::string Host::Prepared(const std::string& tests) const {
  MutexLock lock(mu_);
  const auto found = prepared_.find(tests);
  return found == prepared_.end() ? "N" : found->second;
}

void Host::KeepPrepared(const std::string& tests, std::string prepared) {
  const size_t bytes = tests.size() + prepared.size();
  if (bytes > kMostPrepared / 16) return;
  MutexLock lock(mu_);
  if (prepared_bytes_ + bytes > kMostPrepared) {
    prepared_.clear();
    prepared_bytes_ = 0;
  }
  if (prepared_.emplace(tests, std::move(prepared)).second) prepared_bytes_ += bytes;
}

}  // namespace hone::code
