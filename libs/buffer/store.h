#pragma once

// The only door to RocksDB.

#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/message_lite.h"

namespace rocksdb {
class WriteBatch;
}

namespace hone {

// Changes that are applied together or not at all.
class WriteBatch {
 public:
  WriteBatch();
  ~WriteBatch();
  WriteBatch(const WriteBatch&) = delete;
  WriteBatch& operator=(const WriteBatch&) = delete;

  void Put(absl::string_view key, const google::protobuf::MessageLite& value);
  void PutBytes(absl::string_view key, absl::string_view value);
  void Delete(absl::string_view key);
  void DeletePrefix(const std::string& prefix);
  bool empty() const;

 private:
  friend class Store;
  std::unique_ptr<rocksdb::WriteBatch> batch_;
};

// Thread-safe. Writes are applied in the order of their calls and survive the end of the process at
// once; they survive the end of the machine (power, kernel) when a later Sync or WhenSynced has
// answered. One sync serves everybody who waits.
// After a write or sync that failed, later ones fail as well, while reads go on: opening the store
// again finds everything that was acknowledged and nothing half applied. Errors: RESOURCE_EXHAUSTED
// when the disk is full, UNAVAILABLE for other input and output errors and for a folder that
// another process holds, DATA_LOSS for what cannot be read back.
class Store {
 public:
  struct Options {
    std::string path;   // folder, made if absent
    bool fsync = true;  // false: Sync does nothing
  };
  static absl::StatusOr<std::unique_ptr<Store>> Open(const Options& options);
  ~Store();

  absl::Status Write(WriteBatch& batch);
  // NOT_FOUND when there is no such key.
  absl::Status Get(const std::string& key, google::protobuf::MessageLite* value) const;
  absl::StatusOr<bool> Has(const std::string& key) const;
  // Visits keys that begin with `prefix` in order, from `from` on (a whole key; empty: from the
  // first). The visitor gets the whole key and stops the walk by returning false.
  using Visitor = std::function<bool(absl::string_view key, absl::string_view value)>;
  absl::Status Scan(const std::string& prefix, const std::string& from, const Visitor& visit) const;
  // The same backwards, from the last key below `before` (empty: the last of the prefix) on.
  absl::Status ScanBack(const std::string& prefix, const std::string& before,
                        const Visitor& visit) const;

  // Waits until all earlier writes are on the disk.
  absl::Status Sync();
  // Calls `done` when all earlier writes are on the disk: on the calling thread when they are
  // already, else on the syncing thread, which `done` must not block.
  void WhenSynced(std::function<void(absl::Status)> done);

  // What made writes impossible; OK while they are possible.
  absl::Status health() const;

  struct Stats {
    int64_t syncs = 0;
    double sync_seconds = 0;
    int64_t disk_bytes = 0;  // of table and blob files
  };
  Stats stats() const;

 private:
  struct Impl;
  explicit Store(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// Appends the answer of a walk to a message: parses `value` or says DATA_LOSS naming the key.
absl::Status Parse(absl::string_view key, absl::string_view value,
                   google::protobuf::MessageLite* message);

}  // namespace hone
