#include "libs/buffer/store.h"

#include <sys/resource.h>

#include <atomic>
#include <csignal>
#include <fstream>
#include <thread>

#include "libs/buffer/keys.h"
#include "tests/buffer/world.h"

namespace hone::testing {
namespace {

std::unique_ptr<Store> OpenStore(const std::string& path, bool fsync = true) {
  absl::StatusOr<std::unique_ptr<Store>> store = Store::Open({path, fsync});
  REQUIRE_OK(store);
  return *std::move(store);
}

TEST_CASE("A folder that is in use is refused by name", "[buffer]") {
  TempDir dir;
  const std::unique_ptr<Store> first = OpenStore(dir.path());
  absl::StatusOr<std::unique_ptr<Store>> second = Store::Open({dir.path()});
  CHECK_CODE(second, absl::StatusCode::kUnavailable);
  CHECK_THAT(std::string(second.status().message()),
             Catch::Matchers::Contains("is in use by another process"));
}

TEST_CASE("A store that cannot be trusted is refused", "[buffer]") {
  TempDir dir;
  SECTION("of another layout") {
    {
      const std::unique_ptr<Store> store = OpenStore(dir.path());
      WriteBatch batch;
      batch.PutBytes(keys::Schema(), "999");
      REQUIRE_OK(store->Write(batch));
    }
    CHECK_CODE(Store::Open({dir.path()}), absl::StatusCode::kFailedPrecondition);
  }
  SECTION("in a place that is a file") {
    std::ofstream(dir.path() + "/file") << "x";
    CHECK_CODE(Store::Open({dir.path() + "/file"}), absl::StatusCode::kUnavailable);
  }
  SECTION("with a record that does not parse") {
    const std::unique_ptr<Store> store = OpenStore(dir.path());
    WriteBatch batch;
    batch.PutBytes("k", "\xff\xff\xff");
    REQUIRE_OK(store->Write(batch));
    v1::StoredRun run;
    CHECK_CODE(store->Get("k", &run), absl::StatusCode::kDataLoss);
  }
}

TEST_CASE("One sync serves all who wait, and nobody is forgotten", "[buffer]") {
  TempDir dir;
  const std::unique_ptr<Store> store = OpenStore(dir.path());
  std::atomic<int> answered{0};
  std::vector<std::thread> writers;
  for (int t = 0; t < 4; ++t)
    writers.emplace_back([&, t] {
      for (int i = 0; i < 50; ++i) {
        WriteBatch batch;
        batch.PutBytes("k" + std::to_string(t) + "-" + std::to_string(i), "v");
        if (!store->Write(batch).ok()) continue;
        store->WhenSynced([&](absl::Status s) { answered += s.ok(); });
      }
    });
  for (std::thread& t : writers) t.join();
  REQUIRE_OK(store->Sync());
  CHECK(answered == 200);
  CHECK(store->stats().syncs >= 1);
  CHECK(store->stats().syncs < 200);
}

TEST_CASE("When the disk takes no more, nothing is half applied and a restart goes on",
          "[buffer]") {
  World w({.fsync = true});
  w.Begin();
  REQUIRE_OK(w.buffer().Sync());
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  REQUIRE(getrlimit(RLIMIT_FSIZE, &before) == 0);
  const v1::Lease lease = w.Lease("a", 0, 1)[0];
  rlimit full = before;
  full.rlim_cur = 1;
  REQUIRE(setrlimit(RLIMIT_FSIZE, &full) == 0);
  const absl::Status refused = StatusOf(w.Commit("a", lease, 0));
  REQUIRE(setrlimit(RLIMIT_FSIZE, &before) == 0);
  CHECK((refused.code() == absl::StatusCode::kUnavailable ||
         refused.code() == absl::StatusCode::kResourceExhausted));
  CHECK(w.Counts()["leased"] == 1);
  CHECK(w.Counts()["committed"] == 0);
  // Nothing is taken until the folder is opened again, so that nothing is taken out of order.
  CHECK_FALSE(w.Commit("a", lease, 0).ok());
  CHECK_FALSE(w.buffer().health().ok());
  CHECK_FALSE(w.buffer().Sync().ok());
  w.Reopen();
  CHECK(w.Counts()["leased"] == 1);
  REQUIRE_OK(w.Commit("a", lease, 0));
  CHECK(w.Counts()["committed"] == 1);
  w.Reopen();
  CHECK(w.Counts()["committed"] == 1);
  CHECK(w.Counts()["leased"] == 0);
}

}  // namespace
}  // namespace hone::testing
