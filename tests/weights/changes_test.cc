// Versions that travel as what changed since the one before.

#include <algorithm>
#include <atomic>
#include <cstring>
#include <random>
#include <thread>

#include "libs/weights/publisher.h"
#include "libs/weights/stager.h"
#include "tests/testing/metered_table.h"
#include "tests/testing/test.h"
#include "tests/weights/tiny.h"
#include "xxhash.h"

namespace hone {
namespace {

// Of bf16 weights that are changed by hand.
struct Learner {
  Learner()
      : layout(testing::Tiny()),
        weights(std::make_shared<Weights>(layout, DType::kBF16)),
        changes(weights->trained().size(), weights->table()) {
    for (int64_t i = 0; i < weights->trained().size(); ++i)
      values()[i] = static_cast<uint16_t>(i * 7 + i / 65536);
  }
  uint16_t* values() { return static_cast<uint16_t*>(weights->trained().data()); }
  void Change(int64_t i) {
    ++values()[i];
    changes.bits()[i / 32] |= uint32_t{1} << i % 32;
  }
  // About one in `every`, and the ends.
  void ChangeSome(int64_t every) {
    std::uniform_int_distribution<int64_t> step(1, 2 * every - 1);
    const int64_t n = weights->trained().size();
    for (int64_t i = 0; i < n; i += step(random)) Change(i);
    Change(n - 1);
    static_cast<float*>(weights->biases.data())[1] += 0.25f;
  }
  WeightsVersion Version(int64_t version) {
    return {.run_id = "r",
            .version = version,
            .layout = layout,
            .weights = weights,
            .changes = &changes};
  }
  void Publish(int64_t version) { publisher.Publish(Version(version)); }
  Publisher::Transfers For(int64_t have) { return publisher.WaitFor("r", have, TimePoint{}); }

  ParameterLayout layout;
  std::shared_ptr<Weights> weights;
  WeightChanges changes;
  Publisher publisher;
  std::mt19937_64 random{1};
};

struct Worker {
  explicit Worker(const Learner& l)
      : stager("r", l.layout, DType::kBF16, nullptr, testing::MeteredTable()) {}
  absl::Status Receive(const Snapshot& transfer) {
    absl::Status status = stager.Begin(transfer.manifest());
    for (const v1::SubscribeResponse& message : transfer.chunks())
      if (status.ok()) status = stager.Add(message.chunk());
    return status;
  }
  // All that the learner has for it; what came last.
  std::shared_ptr<const Weights> Follow(Learner& learner) {
    std::shared_ptr<const Weights> weights;
    for (const auto& transfer : learner.For(stager.have_version())) {
      REQUIRE_OK(Receive(*transfer));
      if (auto w = stager.Take()) weights = std::move(w);
    }
    return weights;
  }
  Stager stager;
};

int64_t Bytes(const Weights& weights) {
  return weights.trained().bytes() + weights.biases.bytes();
}

bool Same(const Weights& x, const Weights& y) {
  return std::memcmp(x.trained().data(), y.trained().data(),
                     static_cast<size_t>(x.trained().bytes())) == 0 &&
         std::memcmp(x.biases.data(), y.biases.data(), static_cast<size_t>(x.biases.bytes())) == 0;
}

TEST_CASE("versions travel as what changed, and arrive bit for bit", "[weights]") {
  Learner learner;
  Worker worker(learner);
  std::vector<std::shared_ptr<const Weights>> arrived;
  for (int64_t version = 3; version < 8; ++version) {
    if (version > 3) learner.ChangeSome(version == 6 ? 1 << 20 : 97);  // once next to nothing
    learner.Publish(version);
    const auto transfers = learner.For(worker.stager.have_version());
    REQUIRE(transfers.size() == 1);
    CHECK(transfers[0]->whole() == (version == 3));
    CHECK(transfers[0]->manifest().base_version() == (version == 3 ? -1 : version - 1));
    if (version > 3) CHECK(transfers[0]->bytes() < learner.weights->trained().bytes() / 20);
    int64_t sent = 0;
    for (const v1::SubscribeResponse& message : transfers[0]->chunks())
      sent += static_cast<int64_t>(message.chunk().data().size());
    CHECK(sent == transfers[0]->bytes());
    arrived.push_back(worker.Follow(learner));
    REQUIRE(arrived.back() != nullptr);
    CHECK(Same(*arrived.back(), *learner.weights));
    CHECK(worker.stager.version() == version);
  }
  CHECK(!Same(*arrived[0], *arrived[1]));  // those in use stay as they are
  CHECK(learner.For(7).empty());
  CHECK(learner.For(5).size() == 2);  // a slow one
  CHECK(learner.For(4).size() == 3);

  Worker late(learner);
  CHECK(learner.For(-1).size() == 5);
  CHECK(learner.For(2).size() == 5);
  const auto all = late.Follow(learner);
  REQUIRE(all != nullptr);
  CHECK(Same(*all, *learner.weights));
  CHECK(learner.publisher.newest()->version() == 7);
}

TEST_CASE("a version is whole where changes are unknown or many", "[weights]") {
  Learner learner;
  learner.Publish(1);
  SECTION("many") {
    learner.ChangeSome(2);
    learner.Publish(2);
  }
  SECTION("many in the course of time") {
    int64_t version = 1;
    do {
      learner.ChangeSome(20);  // about a tenth of the bytes
      learner.Publish(++version);
    } while (!learner.publisher.newest()->whole() && version < 20);
    CHECK((version > 4 && version < 9));
    CHECK(learner.For(-1).size() == 1);  // nothing else is kept
  }
  SECTION("lost: another training state") {
    learner.changes = WeightChanges(learner.weights->trained().size(), learner.weights->table());
    learner.ChangeSome(97);
    learner.Publish(2);
  }
  SECTION("since a version that was never sent") {
    const Device on(learner.weights->table(), 1);
    learner.changes.Clear(on, 2);
    learner.ChangeSome(97);
    learner.Publish(3);
  }
  SECTION("nobody keeps them") {
    WeightsVersion v = learner.Version(2);
    v.changes = nullptr;
    learner.publisher.Publish(v);
  }
  SECTION("another run") {
    WeightsVersion v = learner.Version(2);
    v.run_id += "2";
    learner.publisher.Publish(v);
  }
  CHECK(learner.publisher.newest()->whole());
  CHECK(learner.changes.since() != -1);
}

// A worker that has version 1, and the changes of version 2.
struct Changed {
  Changed() {
    learner.Publish(1);
    first = worker.Follow(learner);
    REQUIRE(first != nullptr);
    learner.ChangeSome(50);
    learner.Publish(2);
    transfer = learner.For(1)[0];
    manifest = transfer->manifest();
    REQUIRE(transfer->chunks().size() == 1);
    chunk = transfer->chunks()[0].chunk();
  }
  std::string& data() { return *chunk.mutable_data(); }
  // As from a learner that sent just this.
  absl::Status Receive() {
    chunk.set_checksum(XXH3_64bits(data().data(), data().size()));
    REQUIRE_OK(worker.stager.Begin(manifest));
    return worker.stager.Add(chunk);
  }

  Learner learner;
  Worker worker{learner};
  std::shared_ptr<const Weights> first;
  std::shared_ptr<const Snapshot> transfer;
  v1::Manifest manifest;
  v1::Chunk chunk;
  const int64_t segments = (learner.weights->trained().size() + 65535) / 65536;
  const int64_t places = 4 * segments;  // where they begin
};

TEST_CASE("changes that do not fit are refused, and those that do are taken", "[weights]") {
  Changed c;
  SECTION("a flipped bit on the way") {
    c.data()[static_cast<size_t>(c.places)] ^= 1;
    REQUIRE_OK(c.worker.stager.Begin(c.manifest));
    CHECK_CODE(c.worker.stager.Add(c.chunk), absl::StatusCode::kDataLoss);
  }
  SECTION("another base version") {
    c.manifest.set_base_version(0);
    CHECK_CODE(c.worker.stager.Begin(c.manifest), absl::StatusCode::kFailedPrecondition);
  }
  SECTION("impossible lengths") {
    for (const int64_t bytes : {int64_t{0}, c.places - 1, int64_t{1} << 40}) {
      c.manifest.set_bytes(bytes);
      CHECK_CODE(c.worker.stager.Begin(c.manifest), absl::StatusCode::kInvalidArgument);
    }
  }
  CHECK(c.worker.stager.Take() == nullptr);
  CHECK(c.worker.stager.have_version() == 1);  // the weights here are as good as before
  REQUIRE_OK(c.worker.Receive(*c.transfer));
  CHECK(c.worker.stager.Take() != nullptr);
}

TEST_CASE("after changes that came out wrong a whole version mends it", "[weights]") {
  Changed c;
  absl::Status status;
  const auto says = [&](const char* what) {
    INFO(status.ToString());
    CHECK_CODE(status, absl::StatusCode::kDataLoss);
    CHECK(std::string(status.message()).find(what) != std::string::npos);
  };
  SECTION("more elements than there are bytes for") {
    ++c.data()[0];
    status = c.Receive();
    says("do not fill");
  }
  SECTION("places that do not rise") {
    const auto at = c.data().begin() + c.places;
    std::swap_ranges(at, at + 2, at + 2);
    status = c.Receive();
    says(" after ");
  }
  SECTION("a place behind the end") {
    // The last place is that of the last element of a segment that is not full.
    uint32_t all = 0;
    for (int64_t i = 0; i < c.segments; ++i) {
      uint32_t count = 0;
      std::memcpy(&count, c.data().data() + 4 * i, 4);
      all += count;
    }
    ++c.data()[static_cast<size_t>(c.places) + 2 * all - 2];
    status = c.Receive();
    says("segment");
  }
  SECTION("another value") {
    const auto biases = static_cast<size_t>(c.learner.weights->biases.bytes());
    c.data()[c.data().size() - biases - 1] ^= 1;
    status = c.Receive();
    says("digest");
  }
  SECTION("a base that is not the learner's") {
    // As if memory had failed here, which no checksum of what comes would tell.
    static_cast<uint16_t*>(c.first->trained().data())[12345] ^= 4;
    status = c.worker.Receive(*c.transfer);
    says("digest");
  }
  CHECK(c.worker.stager.Take() == nullptr);
  CHECK(c.worker.stager.have_version() == -1);
  CHECK(c.worker.stager.version() == 1);
  // The whole first version once more, which is not given out again, and the changes: into it, so
  // that with the one in use there are two.
  const auto transfers = c.learner.For(-1);
  REQUIRE(transfers.size() == 2);
  testing::ForgetPeak();
  REQUIRE(c.worker.stager.WaitForRoom());
  REQUIRE_OK(c.worker.Receive(*transfers[0]));
  CHECK(c.worker.stager.Take() == nullptr);
  CHECK(c.worker.stager.have_version() == 1);
  REQUIRE(c.worker.stager.WaitForRoom());
  REQUIRE_OK(c.worker.Receive(*transfers[1]));
  CHECK(testing::PeakBytes() < 2.5 * static_cast<double>(Bytes(*c.first)));
  const auto mended = c.worker.stager.Take();
  REQUIRE(mended != nullptr);
  CHECK(Same(*mended, *c.learner.weights));
}

TEST_CASE("a worker has two versions at most: the next one waits until the last is in use",
          "[weights]") {
  const bool whole = GENERATE(false, true);  // all of them
  Learner learner;
  Worker worker(learner);
  const auto publish = [&](int64_t version) {
    learner.ChangeSome(whole ? 2 : 50);
    learner.Publish(version);
  };
  learner.Publish(1);
  testing::ForgetPeak();
  REQUIRE(worker.stager.WaitForRoom());
  std::shared_ptr<const Weights> used = worker.Follow(learner);
  publish(2);
  REQUIRE(worker.stager.WaitForRoom());
  std::shared_ptr<const Weights> arrived = worker.Follow(learner);
  REQUIRE(arrived != nullptr);
  publish(3);
  std::atomic<bool> room = false;
  std::thread receives([&] {
    room = worker.stager.WaitForRoom();
    if (!room) return;
    const auto transfers = learner.For(2);
    HONE_CHECK(transfers.size() == 1 && transfers[0]->whole() == whole);
    HONE_CHECK(worker.Receive(*transfers[0]).ok());
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(30));
  CHECK(!room);
  SECTION("it is") {
    used = std::move(arrived);
    receives.join();
    CHECK(room);
    arrived = worker.stager.Take();
    REQUIRE(arrived != nullptr);
    CHECK(Same(*arrived, *learner.weights));
    CHECK(!Same(*used, *arrived));
    CHECK(testing::PeakBytes() < 2.5 * static_cast<double>(Bytes(*used)));
  }
  SECTION("it never will be") {
    worker.stager.Close();
    receives.join();
    CHECK(!room);
    used = nullptr;
    CHECK(!worker.stager.WaitForRoom());
  }
}

}  // namespace
}  // namespace hone
