#include "libs/buffer/workers.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/buffer/keys.h"
#include "proto/hone/v1/storage.pb.h"

namespace hone {

absl::Status Workers::Hear(const std::string& id, uint64_t incarnation, bool* fresh) {
  *fresh = false;
  HONE_RETURN_IF_ERROR(CheckName(absl::StrCat(role_, " id"), id));
  if (incarnation == 0)
    return absl::InvalidArgumentError(absl::StrCat(
        role_, " \"", id, "\" has incarnation 0, expected a random number, new on every start"));
  auto found = workers_.find(id);
  if (found == workers_.end() || found->second.incarnation != incarnation) {
    v1::StoredWorker stored;
    const absl::Status got = store_.Get(keys::Worker(role_, id), &stored);
    if (!got.ok() && !absl::IsNotFound(got)) return got;
    if (std::find(stored.retired().begin(), stored.retired().end(), incarnation) !=
        stored.retired().end())
      return absl::AbortedError(absl::StrCat(role_, " \"", id, "\" incarnation ", incarnation,
                                             " was replaced by ", stored.incarnation()));
    *fresh = true;
    if (stored.incarnation() != incarnation) {
      if (stored.incarnation() != 0) {
        stored.add_retired(stored.incarnation());
        constexpr int kRemembered = 64;
        if (stored.retired_size() > kRemembered)
          stored.mutable_retired()->erase(stored.mutable_retired()->begin());
      }
      stored.set_incarnation(incarnation);
      WriteBatch batch;
      batch.Put(keys::Worker(role_, id), stored);
      HONE_RETURN_IF_ERROR(store_.Write(batch));
      if (found != workers_.end()) workers_.erase(found);
    }
  }
  Worker& w = workers_[id];
  w.incarnation = incarnation;
  w.heard = clock_.Now();
  return absl::OkStatus();
}

Workers::Worker* Workers::Find(const std::string& id) {
  auto found = workers_.find(id);
  return found == workers_.end() ? nullptr : &found->second;
}

void Workers::Assume(const std::string& id) {
  if (id.empty()) return;
  Worker& w = workers_[id];
  w.heard = clock_.Now();
}

std::vector<std::string> Workers::TakeSilent(Duration limit) {
  std::vector<std::string> silent;
  const TimePoint now = clock_.Now();
  for (auto it = workers_.begin(); it != workers_.end();) {
    if (now - it->second.heard > limit) {
      silent.push_back(it->first);
      it = workers_.erase(it);
    } else {
      ++it;
    }
  }
  return silent;
}

}  // namespace hone
