// Versions that travel as what changed since the one before.

#include <algorithm>
#include <cstring>
#include <random>

#include "libs/weights/publisher.h"
#include "libs/weights/stager.h"
#include "tests/testing/test.h"
#include "xxhash.h"

namespace hone {
namespace {

ModelConfig Tiny() {
  return ParseModelConfig(R"({"model_type":"deepseek_v3","hidden_size":512,"num_hidden_layers":2,
      "num_attention_heads":4,"kv_lora_rank":64,"qk_nope_head_dim":16,"qk_rope_head_dim":8,"v_head_dim":16,
      "first_k_dense_replace":1,"intermediate_size":512,"moe_intermediate_size":64,"n_routed_experts":4,
      "num_experts_per_tok":2,"n_shared_experts":1,"vocab_size":300,"tie_word_embeddings":false})")
      .value();
}

// Of bf16 weights that are changed by hand.
struct Learner {
  Learner()
      : layout(Tiny()),
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
  explicit Worker(const Learner& l) : stager("r", l.layout, DType::kBF16) {}
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
    v.run_id = "s";
    learner.publisher.Publish(v);
  }
  CHECK(learner.publisher.newest()->whole());
  CHECK(learner.changes.since() != -1);
}

TEST_CASE("changes that are damaged or do not fit are refused, and a whole version mends it",
          "[weights]") {
  Learner learner;
  Worker worker(learner);
  learner.Publish(1);
  const std::shared_ptr<const Weights> first = worker.Follow(learner);
  REQUIRE(first != nullptr);
  learner.ChangeSome(50);
  learner.Publish(2);
  const auto transfer = learner.For(1)[0];
  v1::Manifest manifest = transfer->manifest();
  REQUIRE(transfer->chunks().size() == 1);
  v1::Chunk chunk = transfer->chunks()[0].chunk();
  const int64_t segments = (learner.weights->trained().size() + 65535) / 65536;
  std::string& data = *chunk.mutable_data();
  const auto places = static_cast<size_t>(4 * segments);
  const auto receive = [&] {
    chunk.set_checksum(XXH3_64bits(data.data(), data.size()));
    REQUIRE_OK(worker.stager.Begin(manifest));
    return worker.stager.Add(chunk);
  };
  absl::Status status;
  SECTION("a flipped bit") {
    data[places] ^= 1;
    REQUIRE_OK(worker.stager.Begin(manifest));
    CHECK_CODE(worker.stager.Add(chunk), absl::StatusCode::kDataLoss);
    CHECK(worker.stager.have_version() == 1);  // the weights here are as good as before
    CHECK(worker.stager.Take() == nullptr);
    REQUIRE_OK(worker.Receive(*transfer));
    CHECK(worker.stager.Take() != nullptr);
    return;
  }
  SECTION("another base version") {
    manifest.set_base_version(0);
    CHECK_CODE(worker.stager.Begin(manifest), absl::StatusCode::kFailedPrecondition);
    return;
  }
  SECTION("impossible lengths") {
    for (const int64_t bytes : {int64_t{0}, 4 * segments - 1, int64_t{1} << 40}) {
      manifest.set_bytes(bytes);
      CHECK_CODE(worker.stager.Begin(manifest), absl::StatusCode::kInvalidArgument);
    }
    return;
  }
  SECTION("more elements than there are bytes for") {
    ++data[0];
    status = receive();
  }
  SECTION("places that do not rise") {
    std::swap_ranges(data.begin() + 4 * segments, data.begin() + 4 * segments + 2,
                     data.begin() + 4 * segments + 2);
    status = receive();
  }
  SECTION("a place behind the end") {
    // The last place is that of the last element of a segment that is not full.
    uint32_t count = 0, all = 0;
    for (int64_t i = 0; i < segments; ++i) {
      std::memcpy(&count, data.data() + 4 * i, 4);
      all += count;
    }
    ++data[places + 2 * all - 2];
    status = receive();
    CHECK(std::string(status.message()).find("segment") != std::string::npos);
  }
  SECTION("another value") {
    data[data.size() - static_cast<size_t>(learner.weights->biases.bytes()) - 1] ^= 1;
    status = receive();
    CHECK(std::string(status.message()).find("digest") != std::string::npos);
  }
  SECTION("weights that are not the learner's") {
    // As if memory had failed here: whole transfers would not notice.
    static_cast<uint16_t*>(first->trained().data())[12345] ^= 4;
    status = worker.Receive(*transfer);
    CHECK(std::string(status.message()).find("digest") != std::string::npos);
  }
  CHECK_CODE(status, absl::StatusCode::kDataLoss);
  CHECK(worker.stager.Take() == nullptr);
  CHECK(worker.stager.have_version() == -1);
  CHECK(worker.stager.version() == 1);
  const auto mended = worker.Follow(learner);  // the whole first version once more, and the changes
  REQUIRE(mended != nullptr);
  CHECK(Same(*mended, *learner.weights));
}

}  // namespace
}  // namespace hone
