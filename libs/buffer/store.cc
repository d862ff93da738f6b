#include "libs/buffer/store.h"

#include <chrono>
#include <condition_variable>
#include <cstdarg>
#include <cstdio>
#include <filesystem>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/base/check.h"
#include "libs/base/log.h"
#include "libs/base/mutex.h"
#include "libs/base/status.h"
#include "libs/buffer/keys.h"
#include "rocksdb/db.h"
#include "rocksdb/env.h"
#include "rocksdb/filter_policy.h"
#include "rocksdb/options.h"
#include "rocksdb/table.h"
#include "rocksdb/write_batch.h"

namespace hone {
namespace {

rocksdb::Slice ToSlice(absl::string_view s) {
  return {s.data(), s.size()};
}
absl::string_view FromSlice(const rocksdb::Slice& s) {
  return {s.data(), s.size()};
}

absl::Status FromRocks(absl::string_view what, const rocksdb::Status& s) {
  if (s.ok()) return absl::OkStatus();
  const std::string message = absl::StrCat(what, ": ", s.ToString());
  if (s.IsNotFound()) return absl::NotFoundError(message);
  if (s.IsNoSpace()) return absl::ResourceExhaustedError(message);
  if (s.IsCorruption()) return absl::DataLossError(message);
  return absl::UnavailableError(message);
}

// RocksDB's own log lines from warnings up go to ours. Its log files would be one more thing that a
// full disk stops, and its writer of them aborts on the second failed write.
class RocksLog final : public rocksdb::Logger {
 public:
  RocksLog() : Logger(rocksdb::InfoLogLevel::WARN_LEVEL) {}
  using Logger::Logv;
  void Logv(const char* format, va_list arguments) override {
    char line[1024];
    vsnprintf(line, sizeof(line), format, arguments);
    Log(LogLevel::kWarning, "rocksdb", {{"line", line}});
  }
};

// Version of the layout in README.md. A store of another one is refused.
constexpr char kSchema[] = "1";

}  // namespace

absl::Status Parse(absl::string_view key, absl::string_view value,
                   google::protobuf::MessageLite* message) {
  if (message->ParseFromArray(value.data(), static_cast<int>(value.size())))
    return absl::OkStatus();
  return absl::DataLossError(absl::StrCat("the value of key \"", absl::CHexEscape(key), "\" (",
                                          value.size(), " bytes) is no ", message->GetTypeName()));
}

WriteBatch::WriteBatch() : batch_(std::make_unique<rocksdb::WriteBatch>()) {}
WriteBatch::~WriteBatch() = default;
void WriteBatch::Put(absl::string_view key, const google::protobuf::MessageLite& value) {
  PutBytes(key, value.SerializeAsString());
}
void WriteBatch::PutBytes(absl::string_view key, absl::string_view value) {
  HONE_CHECK(batch_->Put(ToSlice(key), ToSlice(value)).ok()) << "a batch in memory took no value";
}
void WriteBatch::Delete(absl::string_view key) {
  HONE_CHECK(batch_->Delete(ToSlice(key)).ok()) << "a batch in memory took no deletion";
}
void WriteBatch::DeletePrefix(const std::string& prefix) {
  HONE_CHECK(batch_->DeleteRange(prefix, keys::After(prefix)).ok())
      << "a batch in memory took no deletion";
}
bool WriteBatch::empty() const {
  return batch_->Count() == 0;
}

struct Store::Impl {
  Options options;
  std::unique_ptr<rocksdb::DB> db;

  std::atomic<int64_t> written{0};  // writes so far
  std::atomic<int64_t> synced{0};   // of these, how many a sync has covered
  std::atomic<int64_t> syncs{0};
  std::atomic<int64_t> sync_nanos{0};

  Mutex mu;
  std::condition_variable wake;
  std::vector<std::function<void(absl::Status)>> waiting ABSL_GUARDED_BY(mu);
  bool stop ABSL_GUARDED_BY(mu) = false;
  absl::Status broken ABSL_GUARDED_BY(mu);  // the write or sync that failed
  std::thread syncer;

  void SyncLoop() {
    while (true) {
      std::vector<std::function<void(absl::Status)>> ready;
      bool last = false;
      absl::Status status;
      {
        MutexLock lock(mu);
        lock.Wait(wake,
                  [this]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return stop || !waiting.empty(); });
        ready.swap(waiting);
        last = stop;
        status = broken;
      }
      const int64_t upto = written.load();
      if (status.ok() && upto > synced.load()) {
        const auto start = std::chrono::steady_clock::now();
        status = FromRocks("sync of the log", db->FlushWAL(/*sync=*/true));
        sync_nanos += (std::chrono::steady_clock::now() - start).count();
        ++syncs;
        if (status.ok()) synced = upto;
        MutexLock lock(mu);
        if (!status.ok()) broken = status;
      }
      for (auto& done : ready) done(status);
      if (last) return;
    }
  }
};

absl::StatusOr<std::unique_ptr<Store>> Store::Open(const Options& options) {
  std::error_code error;
  std::filesystem::create_directories(options.path, error);
  if (error)
    return absl::UnavailableError(
        absl::StrCat("cannot make the data folder ", options.path, ": ", error.message()));
  rocksdb::Options o;
  o.create_if_missing = true;
  o.max_open_files = 512;
  o.info_log = std::make_shared<RocksLog>();
  o.info_log_level = rocksdb::InfoLogLevel::WARN_LEVEL;
  o.compression = rocksdb::kZSTD;
  o.write_buffer_size = 64 << 20;
  // Refuses a log that is damaged anywhere but in its unfinished last record.
  o.wal_recovery_mode = rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
  // A failed write is final until the store is opened again; RocksDB's own attempts to recover from
  // it run into its assertions.
  o.max_bgerror_resume_count = 0;
  // Groups are large and never change: kept out of the tree, so that compaction does not copy them.
  o.enable_blob_files = true;
  o.min_blob_size = 4096;
  o.blob_compression_type = rocksdb::kZSTD;
  o.enable_blob_garbage_collection = true;
  rocksdb::BlockBasedTableOptions table;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  o.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  auto impl = std::make_unique<Impl>();
  impl->options = options;
  rocksdb::DB* db = nullptr;
  const rocksdb::Status opened = rocksdb::DB::Open(o, options.path, &db);
  if (!opened.ok() && absl::StrContains(opened.ToString(), "LOCK"))
    return absl::UnavailableError(absl::StrCat("the data folder ", options.path,
                                               " is in use by another process (", opened.ToString(),
                                               "): one coordinator per folder"));
  HONE_RETURN_IF_ERROR(FromRocks(absl::StrCat("open ", options.path), opened));
  impl->db.reset(db);
  std::string schema;
  const rocksdb::Status got = db->Get({}, keys::Schema(), &schema);
  if (got.IsNotFound()) {
    rocksdb::WriteOptions sync;
    sync.sync = options.fsync;
    HONE_RETURN_IF_ERROR(FromRocks("first write", db->Put(sync, keys::Schema(), kSchema)));
  } else {
    HONE_RETURN_IF_ERROR(FromRocks("read of the layout's version", got));
    if (schema != kSchema)
      return absl::FailedPreconditionError(absl::StrCat(options.path, " has layout version ",
                                                        absl::CHexEscape(schema),
                                                        ", this program knows ", kSchema));
  }
  impl->syncer = std::thread([raw = impl.get()] { raw->SyncLoop(); });
  return std::unique_ptr<Store>(new Store(std::move(impl)));
}

Store::Store(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Store::~Store() {
  {
    MutexLock lock(impl_->mu);
    impl_->stop = true;
  }
  impl_->wake.notify_all();
  impl_->syncer.join();
}

absl::Status Store::Write(WriteBatch& batch) {
  if (batch.empty()) return absl::OkStatus();
  {
    MutexLock lock(impl_->mu);
    if (!impl_->broken.ok()) return impl_->broken;
  }
  const rocksdb::Status s = impl_->db->Write({}, batch.batch_.get());
  if (!s.ok()) {
    MutexLock lock(impl_->mu);
    impl_->broken =
        FromRocks("the store takes no writes until it is opened again, after a failed one", s);
    return impl_->broken;
  }
  ++impl_->written;
  return absl::OkStatus();
}

absl::Status Store::Get(const std::string& key, google::protobuf::MessageLite* value) const {
  rocksdb::PinnableSlice bytes;
  const rocksdb::Status s = impl_->db->Get({}, impl_->db->DefaultColumnFamily(), key, &bytes);
  if (s.IsNotFound())
    return absl::NotFoundError(absl::StrCat("no key \"", absl::CHexEscape(key), "\""));
  HONE_RETURN_IF_ERROR(FromRocks(absl::StrCat("read of \"", absl::CHexEscape(key), "\""), s));
  return Parse(key, FromSlice(bytes), value);
}

absl::StatusOr<bool> Store::Has(const std::string& key) const {
  rocksdb::PinnableSlice bytes;
  const rocksdb::Status s = impl_->db->Get({}, impl_->db->DefaultColumnFamily(), key, &bytes);
  if (s.IsNotFound()) return false;
  HONE_RETURN_IF_ERROR(FromRocks(absl::StrCat("read of \"", absl::CHexEscape(key), "\""), s));
  return true;
}

absl::Status Store::Scan(const std::string& prefix, const std::string& from,
                         const Visitor& visit) const {
  const std::string end = keys::After(prefix);
  const rocksdb::Slice upper(end);
  rocksdb::ReadOptions read;
  read.iterate_upper_bound = &upper;
  std::unique_ptr<rocksdb::Iterator> it(impl_->db->NewIterator(read));
  for (it->Seek(std::max(prefix, from)); it->Valid(); it->Next())
    if (!visit(FromSlice(it->key()), FromSlice(it->value()))) break;
  return FromRocks("scan", it->status());
}

absl::Status Store::ScanBack(const std::string& prefix, const std::string& before,
                             const Visitor& visit) const {
  const std::string after = keys::After(prefix);
  const std::string end = before.empty() ? after : std::min(before, after);
  const rocksdb::Slice lower(prefix);
  const rocksdb::Slice upper(end);
  rocksdb::ReadOptions read;
  read.iterate_lower_bound = &lower;
  read.iterate_upper_bound = &upper;
  std::unique_ptr<rocksdb::Iterator> it(impl_->db->NewIterator(read));
  for (it->SeekToLast(); it->Valid(); it->Prev())
    if (!visit(FromSlice(it->key()), FromSlice(it->value()))) break;
  return FromRocks("scan", it->status());
}

void Store::WhenSynced(std::function<void(absl::Status)> done) {
  if (!impl_->options.fsync || impl_->synced.load() >= impl_->written.load())
    return done(absl::OkStatus());
  {
    MutexLock lock(impl_->mu);
    impl_->waiting.push_back(std::move(done));
  }
  impl_->wake.notify_one();
}

absl::Status Store::Sync() {
  Mutex mu;
  std::condition_variable cv;
  bool finished = false;
  absl::Status result;
  WhenSynced([&](absl::Status s) {
    MutexLock lock(mu);
    result = std::move(s);
    finished = true;
    cv.notify_one();
  });
  MutexLock lock(mu);
  lock.Wait(cv, [&] { return finished; });
  return result;
}

absl::Status Store::health() const {
  MutexLock lock(impl_->mu);
  return impl_->broken;
}

Store::Stats Store::stats() const {
  Stats s;
  s.syncs = impl_->syncs;
  s.sync_seconds = static_cast<double>(impl_->sync_nanos) * 1e-9;
  uint64_t tables = 0;
  uint64_t blobs = 0;
  impl_->db->GetIntProperty(rocksdb::DB::Properties::kTotalSstFilesSize, &tables);
  impl_->db->GetIntProperty(rocksdb::DB::Properties::kTotalBlobFileSize, &blobs);
  s.disk_bytes = static_cast<int64_t>(tables + blobs);
  return s;
}

}  // namespace hone
