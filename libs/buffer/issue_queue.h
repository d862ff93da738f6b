#pragma once

// The issues of one stage or evaluation, and the only code that moves an issue from state to state.

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/base/clock.h"
#include "libs/buffer/keys.h"
#include "libs/buffer/store.h"
#include "proto/hone/v1/storage.pb.h"

namespace hone {

// A view of one queue for the length of one change: Load, Move some issues, Save, write the batch.
// An issue may be moved once per batch. Not thread-safe; the caller lets one change at a time
// happen.
class IssueQueue {
 public:
  // NOT_FOUND when it was never made.
  static absl::StatusOr<IssueQueue> Load(const Store& store, QueueId id);
  static IssueQueue Make(const Store& store, QueueId id, v1::StoredQueue head);

  const QueueId& id() const { return id_; }
  v1::StoredQueue& head() { return head_; }
  int64_t count(v1::IssueState state) const { return head_.counts(state); }

  // NOT_FOUND when the issue was never leased.
  absl::StatusOr<v1::StoredIssue> Get(int64_t issue) const;
  // Issues in `state`, ascending, at most `limit`. Those below the floor are found only in final
  // states.
  absl::StatusOr<std::vector<int64_t>> List(v1::IssueState state, int64_t limit = INT64_MAX) const;

  // Puts issue number head().next_issue, which must be `fresh.issue.issue`, into the queue, leased.
  void Add(WriteBatch& batch, v1::StoredIssue& fresh, const std::string& detail, WallTime now);
  // Aborts on a move that the life of an issue does not have: that is a bug.
  void Move(WriteBatch& batch, v1::StoredIssue& issue, v1::IssueState to, const std::string& detail,
            WallTime now);
  // Raises the floor over final issues; `batch` must be written already.
  absl::Status RaiseFloor();
  // Puts the head into the batch. After the last Move.
  void Save(WriteBatch& batch) const;
  // Removes everything but groups.
  void Erase(WriteBatch& batch) const;

 private:
  IssueQueue(const Store& store, QueueId id, v1::StoredQueue head)
      : store_(&store), id_(std::move(id)), head_(std::move(head)) {}
  void Put(WriteBatch& batch, v1::StoredIssue& issue, v1::IssueState to, const std::string& detail,
           WallTime now);

  const Store* store_;
  QueueId id_;
  v1::StoredQueue head_;
};

}  // namespace hone
