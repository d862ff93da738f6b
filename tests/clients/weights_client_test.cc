#include "libs/clients/weights_client.h"

#include <atomic>
#include <thread>

#include "absl/strings/str_cat.h"
#include "libs/rpc/server.h"
#include "services/learner/weights_service.h"
#include "tests/testing/metered_table.h"
#include "tests/testing/test.h"
#include "tests/weights/tiny.h"

namespace hone::testing {
namespace {

// A learner's port, and a worker that follows it.
struct Followed {
  Followed() {
    server = rpc::Server::Start({.listen = "127.0.0.1:0"}, {&service}).value();
    client->Follow("r", absl::StrCat("127.0.0.1:", server->port()), model, DType::kF32, nullptr,
                   [this] { ++arrivals; });
  }
  ~Followed() {
    client.reset();
    publisher.Close();
  }
  void Publish(int64_t version) {
    static_cast<float*>(weights->trained().data())[7] = static_cast<float>(version);
    publisher.Publish(
        {.run_id = "r", .version = version, .layout = model.layout(), .weights = weights});
  }
  void Await(int n) {
    const TimePoint deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (arrivals < n && std::chrono::steady_clock::now() < deadline)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    REQUIRE(arrivals == n);
  }

  Transformer model{Tiny(), 16, {}, MeteredTable()};
  std::shared_ptr<Weights> weights = std::make_shared<Weights>(model.layout(), DType::kF32);
  Publisher publisher;
  WeightsService service{publisher, nullptr};
  std::unique_ptr<rpc::Server> server;
  std::atomic<int> arrivals{0};
  std::unique_ptr<WeightsClient> client =
      std::make_unique<WeightsClient>("w", rpc::ClientTls{}, nullptr);
};

TEST_CASE("while a worker may not change its weights, one version waits beside them", "[clients]") {
  Followed f;
  const int64_t held = HeldBytes();
  ForgetPeak();
  f.Publish(1);
  f.Await(1);
  WeightsSource::Arrival used = f.client->Take();
  CHECK(used.version == 1);
  f.Publish(2);
  f.Await(2);
  f.Publish(3);
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  CHECK(f.arrivals == 2);
  SECTION("the evaluation ends") {
    used = f.client->Take();
    CHECK(used.version == 2);
    f.Await(3);
    used = f.client->Take();
    CHECK(used.version == 3);
    CHECK(WeightsDigest(*used.weights) == WeightsDigest(*f.weights));
  }
  SECTION("the worker stops, or follows another") {
    f.client->Unfollow();
    CHECK(f.client->Take().weights == nullptr);
  }
  SECTION("the process ends") {
    f.client.reset();
  }
  const int64_t copy = f.weights->trained().bytes() + f.weights->biases.bytes();
  CHECK(static_cast<double>(PeakBytes() - held) < 2.5 * static_cast<double>(copy));
}

}  // namespace
}  // namespace hone::testing
