#pragma once

// A bounded first-in first-out queue between threads, which can be closed and whose waits end at a
// deadline. The bound is the back-pressure: a producer that is ahead waits instead of filling
// memory. Any number of producers and consumers; thread-safe. The queue owns what is in it.

#include <chrono>
#include <cstddef>
#include <deque>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "libs/base/check.h"
#include "libs/base/clock.h"
#include "libs/base/mutex.h"

namespace hone {

template <typename T>
class Queue {
 public:
  // `name` says in error messages what was waited for. `capacity` >= 1 items.
  Queue(absl::string_view name, size_t capacity) : name_(name), capacity_(capacity) {
    HONE_CHECK(capacity >= 1) << "queue " << name_ << " can hold nothing";
  }
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;

  // Waits for room. CANCELLED when the queue is closed, before or during the wait;
  // DEADLINE_EXCEEDED when it was still full at `deadline`. `item` is moved from only when the
  // result is OK.
  absl::Status Push(T& item, TimePoint deadline = kNoDeadline) {
    MutexLock lock(mu_);
    const bool woken = lock.WaitUntil(room_, deadline, [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
      return closed_ || items_.size() < capacity_;
    });
    if (closed_) return Closed();
    if (!woken)
      return absl::DeadlineExceededError(
          absl::StrCat("queue ", name_, " stayed full (", capacity_, " items) until the deadline"));
    items_.push_back(std::move(item));
    arrived_.notify_one();
    return absl::OkStatus();
  }
  absl::Status Push(T&& item, TimePoint deadline = kNoDeadline) { return Push(item, deadline); }

  // Never waits. False when full or closed; `item` is moved from only when true.
  bool TryPush(T& item) {
    MutexLock lock(mu_);
    if (closed_ || items_.size() >= capacity_) return false;
    items_.push_back(std::move(item));
    arrived_.notify_one();
    return true;
  }
  bool TryPush(T&& item) { return TryPush(item); }

  // Waits for an item. CANCELLED when the queue is closed *and* empty: what was pushed before Close
  // still comes out. DEADLINE_EXCEEDED when it was still empty at `deadline`.
  absl::StatusOr<T> Pop(TimePoint deadline = kNoDeadline) {
    MutexLock lock(mu_);
    if (absl::Status s = WaitForItem(lock, deadline); !s.ok()) return s;
    return TakeFront();
  }

  // Waits for one item as Pop does, then takes up to `max` (>= 1) of those that are there.
  absl::StatusOr<std::vector<T>> PopSome(size_t max, TimePoint deadline = kNoDeadline) {
    HONE_CHECK(max >= 1) << "queue " << name_;
    MutexLock lock(mu_);
    if (absl::Status s = WaitForItem(lock, deadline); !s.ok()) return s;
    std::vector<T> taken;
    while (!items_.empty() && taken.size() < max) taken.push_back(TakeFront());
    return taken;
  }

  // Never waits; nothing when empty.
  std::optional<T> TryPop() {
    MutexLock lock(mu_);
    if (items_.empty()) return std::nullopt;
    return TakeFront();
  }

  // Refuses every later push and wakes all waiters. Idempotent.
  void Close() {
    MutexLock lock(mu_);
    closed_ = true;
    room_.notify_all();
    arrived_.notify_all();
  }
  // As Close, and hands back what nobody has taken, oldest first.
  std::vector<T> CloseAndDrain() {
    Close();
    MutexLock lock(mu_);
    std::vector<T> rest;
    while (!items_.empty()) rest.push_back(TakeFront());
    return rest;
  }

  // Both are out of date as soon as they are returned; for metrics.
  size_t size() const {
    MutexLock lock(mu_);
    return items_.size();
  }
  bool closed() const {
    MutexLock lock(mu_);
    return closed_;
  }
  size_t capacity() const { return capacity_; }

 private:
  absl::Status Closed() const {
    return absl::CancelledError(absl::StrCat("queue ", name_, " is closed"));
  }

  absl::Status WaitForItem(MutexLock& lock, TimePoint deadline) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    lock.WaitUntil(arrived_, deadline, [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
      return closed_ || !items_.empty();
    });
    if (!items_.empty()) return absl::OkStatus();
    if (closed_) return Closed();
    return absl::DeadlineExceededError(
        absl::StrCat("queue ", name_, " stayed empty until the deadline"));
  }
  T TakeFront() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    T item = std::move(items_.front());
    items_.pop_front();
    room_.notify_one();
    return item;
  }

  const std::string name_;
  const size_t capacity_;
  mutable Mutex mu_;
  std::condition_variable room_;     // Signalled per item taken.
  std::condition_variable arrived_;  // Signalled per item pushed.
  std::deque<T> items_ ABSL_GUARDED_BY(mu_);
  bool closed_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace hone
