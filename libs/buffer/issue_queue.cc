#include "libs/buffer/issue_queue.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/check.h"
#include "libs/base/status.h"
#include "libs/buffer/records.h"

namespace hone {
namespace {

bool Allowed(v1::IssueState from, v1::IssueState to) {
  switch (to) {
    case v1::ISSUE_STATE_LEASED:
      return from == v1::ISSUE_STATE_READY;
    case v1::ISSUE_STATE_READY:
      return from == v1::ISSUE_STATE_LEASED;
    case v1::ISSUE_STATE_COMMITTED:
      return from == v1::ISSUE_STATE_LEASED || from == v1::ISSUE_STATE_READY;
    case v1::ISSUE_STATE_ASSIGNED:
      return from == v1::ISSUE_STATE_COMMITTED;
    case v1::ISSUE_STATE_TRAINED:
      return from == v1::ISSUE_STATE_ASSIGNED;
    case v1::ISSUE_STATE_COVERED:
      return from == v1::ISSUE_STATE_TRAINED;
    case v1::ISSUE_STATE_DROPPED:
      return from == v1::ISSUE_STATE_LEASED || from == v1::ISSUE_STATE_READY ||
             from == v1::ISSUE_STATE_COMMITTED;
    default:
      return false;
  }
}

bool Final(v1::IssueState state) {
  return state == v1::ISSUE_STATE_TRAINED || state == v1::ISSUE_STATE_COVERED ||
         state == v1::ISSUE_STATE_DROPPED;
}

// A prompt that crashes its workers again and again must not grow without bound.
constexpr int kMaxHistory = 64;

}  // namespace

absl::StatusOr<IssueQueue> IssueQueue::Load(const Store& store, QueueId id) {
  v1::StoredQueue head;
  HONE_RETURN_IF_ERROR(store.Get(keys::Queue(id), &head));
  return IssueQueue(store, std::move(id), std::move(head));
}

IssueQueue IssueQueue::Make(const Store& store, QueueId id, v1::StoredQueue head) {
  while (head.counts_size() < v1::IssueState_ARRAYSIZE) head.add_counts(0);
  return IssueQueue(store, std::move(id), std::move(head));
}

absl::StatusOr<v1::StoredIssue> IssueQueue::Get(int64_t issue) const {
  v1::StoredIssue stored;
  absl::Status got = store_->Get(keys::Issue(id_, issue), &stored);
  if (absl::IsNotFound(got))
    return absl::NotFoundError(absl::StrCat(id_.evaluation ? "evaluation" : "stage", " \"",
                                            id_.name, "\" of run \"", id_.run,
                                            "\" has leased no issue ", issue));
  HONE_RETURN_IF_ERROR(got);
  return stored;
}

absl::StatusOr<std::vector<int64_t>> IssueQueue::List(v1::IssueState state, int64_t limit) const {
  std::vector<int64_t> issues;
  // An empty range is not walked: RocksDB would step over the remains of all that passed through
  // it.
  if (limit <= 0 || count(state) == 0) return issues;
  const int64_t first = Final(state) ? 0 : head_.floor();
  HONE_RETURN_IF_ERROR(store_->Scan(keys::InState(id_, state), keys::InState(id_, state, first),
                                    [&](absl::string_view key, absl::string_view) {
                                      issues.push_back(keys::LastNumber(key));
                                      return static_cast<int64_t>(issues.size()) < limit;
                                    }));
  return issues;
}

void IssueQueue::Put(WriteBatch& batch, v1::StoredIssue& issue, v1::IssueState to,
                     const std::string& detail, WallTime now) {
  v1::Issue& i = *issue.mutable_issue();
  i.set_state(to);
  if (i.history_size() >= kMaxHistory) i.mutable_history()->DeleteSubrange(1, 1);
  v1::Issue::Transition& t = *i.add_history();
  t.set_state(to);
  *t.mutable_time() = ToTimestamp(now);
  t.set_detail(detail);
  head_.set_counts(to, head_.counts(to) + 1);
  batch.PutBytes(keys::InState(id_, to, i.issue()), "");
  batch.Put(keys::Issue(id_, i.issue()), issue);
}

void IssueQueue::Add(WriteBatch& batch, v1::StoredIssue& fresh, const std::string& detail,
                     WallTime now) {
  HONE_CHECK(fresh.issue().issue() == head_.next_issue()) << "issues are leased in order";
  head_.set_next_issue(head_.next_issue() + 1);
  Put(batch, fresh, v1::ISSUE_STATE_LEASED, detail, now);
}

void IssueQueue::Move(WriteBatch& batch, v1::StoredIssue& issue, v1::IssueState to,
                      const std::string& detail, WallTime now) {
  const v1::IssueState from = issue.issue().state();
  HONE_CHECK(Allowed(from, to)) << "issue " << issue.issue().issue() << " of " << id_.run << "/"
                                << id_.name << " cannot go from " << ShortName(from) << " to "
                                << ShortName(to);
  head_.set_counts(from, head_.counts(from) - 1);
  batch.Delete(keys::InState(id_, from, issue.issue().issue()));
  Put(batch, issue, to, detail, now);
}

absl::Status IssueQueue::RaiseFloor() {
  while (head_.floor() < head_.next_issue()) {
    HONE_ASSIGN_OR_RETURN(const v1::StoredIssue lowest, Get(head_.floor()));
    if (!Final(lowest.issue().state())) break;
    head_.set_floor(head_.floor() + 1);
  }
  return absl::OkStatus();
}

void IssueQueue::Save(WriteBatch& batch) const {
  batch.Put(keys::Queue(id_), head_);
}

void IssueQueue::Erase(WriteBatch& batch) const {
  batch.Delete(keys::Queue(id_));
  batch.DeletePrefix(keys::Issues(id_));
  batch.DeletePrefix(keys::States(id_));
}

}  // namespace hone
