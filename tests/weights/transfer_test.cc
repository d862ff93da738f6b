#include <cstring>

#include "libs/weights/publisher.h"
#include "libs/weights/stager.h"
#include "tests/testing/test.h"
#include "tests/weights/tiny.h"

namespace hone {
namespace {

struct Transfer {
  Transfer()
      : layout(testing::Tiny()),
        weights(std::make_shared<Weights>(layout, DType::kF32)),
        stager("r", layout, DType::kF32) {
    auto* p = static_cast<float*>(weights->parameters.data());
    for (int64_t i = 0; i < weights->parameters.size(); ++i)
      p[i] = static_cast<float>(i % 1013) * 0.5f;
    auto* b = static_cast<float*>(weights->biases.data());
    for (int64_t i = 0; i < weights->biases.size(); ++i) b[i] = static_cast<float>(i);
    snapshot = Snapshot::Take(Version(7));
    for (const v1::SubscribeResponse& message : snapshot->chunks())
      chunks.push_back(message.chunk());
  }
  WeightsVersion Version(int64_t version) const {
    return {.run_id = "r", .version = version, .layout = layout, .weights = weights};
  }
  ParameterLayout layout;
  std::shared_ptr<Weights> weights;
  Stager stager;
  std::shared_ptr<const Snapshot> snapshot;
  std::vector<v1::Chunk> chunks;
};

TEST_CASE("weights arrive bit for bit, in chunks of at most 2 MiB, and only when complete",
          "[weights]") {
  Transfer t;
  REQUIRE(t.chunks.size() >= 2);
  REQUIRE_OK(t.stager.Begin(t.snapshot->manifest()));
  for (const v1::Chunk& chunk : t.chunks) {
    CHECK(chunk.data().size() <= size_t{2} << 20);
    CHECK(t.stager.Take() == nullptr);
    REQUIRE_OK(t.stager.Add(chunk));
  }
  const auto got = t.stager.Take();
  REQUIRE(got != nullptr);
  CHECK(t.stager.version() == 7);
  CHECK(std::memcmp(got->parameters.data(), t.weights->parameters.data(),
                    static_cast<size_t>(t.weights->parameters.bytes())) == 0);
  CHECK(std::memcmp(got->biases.data(), t.weights->biases.data(),
                    static_cast<size_t>(t.weights->biases.bytes())) == 0);
  CHECK(WeightsDigest(*got) == WeightsDigest(*t.weights));

  SECTION("versions never go back") {
    CHECK_CODE(t.stager.Begin(t.snapshot->manifest()), absl::StatusCode::kFailedPrecondition);
  }
}

TEST_CASE("a damaged, foreign or disordered transfer is refused", "[weights]") {
  Transfer t;
  v1::Manifest manifest = t.snapshot->manifest();
  SECTION("another run") {
    manifest.set_run_id("other");
    CHECK_CODE(t.stager.Begin(manifest), absl::StatusCode::kInvalidArgument);
  }
  SECTION("another model") {
    manifest.mutable_tensors(3)->set_bytes(4);
    CHECK_CODE(t.stager.Begin(manifest), absl::StatusCode::kInvalidArgument);
  }
  SECTION("an encoding of a later release") {
    manifest.set_encoding(static_cast<v1::Encoding>(99));
    CHECK_CODE(t.stager.Begin(manifest), absl::StatusCode::kUnimplemented);
  }
  SECTION("another length") {
    manifest.set_bytes(manifest.bytes() - 4);
    CHECK_CODE(t.stager.Begin(manifest), absl::StatusCode::kInvalidArgument);
  }
  SECTION("weights that are not what the digest says") {
    manifest.set_digest(1);
    REQUIRE_OK(t.stager.Begin(manifest));
    absl::Status status;
    for (const v1::Chunk& chunk : t.chunks) status = t.stager.Add(chunk);
    CHECK_CODE(status, absl::StatusCode::kDataLoss);
    CHECK(t.stager.Take() == nullptr);
  }
  SECTION("changes of weights that are not there") {
    manifest.set_encoding(v1::ENCODING_SPARSE_DELTA);
    manifest.set_base_version(6);
    CHECK_CODE(t.stager.Begin(manifest), absl::StatusCode::kFailedPrecondition);
  }
  SECTION("a flipped bit in a chunk") {
    REQUIRE_OK(t.stager.Begin(manifest));
    (*t.chunks[0].mutable_data())[100] ^= 1;
    CHECK_CODE(t.stager.Add(t.chunks[0]), absl::StatusCode::kDataLoss);
  }
  SECTION("a tensor whose checksum the manifest gives otherwise") {
    manifest.mutable_tensors(0)->set_checksum(1);
    REQUIRE_OK(t.stager.Begin(manifest));
    absl::Status status;
    for (const v1::Chunk& chunk : t.chunks) status = t.stager.Add(chunk);
    CHECK_CODE(status, absl::StatusCode::kDataLoss);
    CHECK(std::string(status.message()).find("model.embed_tokens.weight") != std::string::npos);
  }
  SECTION("a missing chunk, and then a whole new transfer") {
    REQUIRE_OK(t.stager.Begin(manifest));
    CHECK_CODE(t.stager.Add(t.chunks[1]), absl::StatusCode::kInvalidArgument);
    REQUIRE_OK(t.stager.Begin(manifest));
    for (const v1::Chunk& chunk : t.chunks) REQUIRE_OK(t.stager.Add(chunk));
    CHECK(t.stager.Take() != nullptr);
  }
}

TEST_CASE("a late joiner gets the newest version, and lower ones are not published", "[weights]") {
  Transfer t;
  Publisher publisher;
  const auto soon = [] { return std::chrono::steady_clock::now() + std::chrono::milliseconds(5); };
  CHECK(publisher.WaitFor("r", -1, soon()).empty());
  publisher.Publish(t.Version(7));
  publisher.Publish(t.Version(6));
  REQUIRE(publisher.WaitFor("r", -1, soon()).size() == 1);
  CHECK(publisher.WaitFor("r", -1, soon())[0]->version() == 7);
  CHECK(publisher.WaitFor("r", 7, soon()).empty());
  CHECK(publisher.WaitFor("other", -1, soon()).empty());
  publisher.Close();
  CHECK(publisher.WaitFor("r", -1, kNoDeadline).empty());
}

}  // namespace
}  // namespace hone
