#include <atomic>
#include <map>
#include <set>
#include <thread>

#include "tests/reward_service/fixture.h"

namespace hone::testing {
namespace {

TEST_CASE("a stream answers each item once, under its own id", "[reward_service]") {
  Fixture f(3);
  auto context = Context();
  std::unique_ptr<ClientStream> stream = f.stub->Score(context.get());
  constexpr int kMessages = 40, kItems = 50;
  std::thread writer([&stream] {
    for (int m = 0; m < kMessages; ++m) {
      std::vector<std::string> completions;
      for (int i = 0; i < kItems; ++i) completions.push_back(i % 2 == 0 ? "right" : "wrong");
      stream->Write(Request(completions, m * kItems, m == 0 ? "gated" : nullptr));
    }
    stream->WritesDone();
  });
  std::map<uint64_t, bool> verdicts;
  v1::ScoreResponse response;
  int responses = 0;
  while (stream->Read(&response)) {
    ++responses;
    CHECK(response.verdict().outcome() == v1::OUTCOME_SCORED);
    verdicts[response.item_id()] = response.verdict().correct();
  }
  writer.join();
  CHECK(stream->Finish().ok());
  CHECK(responses == kMessages * kItems);
  REQUIRE(verdicts.size() == kMessages * kItems);
  for (const auto& [id, correct] : verdicts) CHECK(correct == (id % 2 == 0));
  const std::string metrics = f.metrics.Render();
  CHECK(metrics.find("hone_reward_requests_total{outcome=\"scored\",scorer=\"gated\"} 2000") !=
        std::string::npos);
}

TEST_CASE("a slow item holds its own slot and nothing else", "[reward_service]") {
  Fixture f(2);
  auto context = Context();
  std::unique_ptr<ClientStream> stream = f.stub->Score(context.get());
  std::vector<std::string> completions = {"slow"};
  for (int i = 0; i < 200; ++i) completions.push_back("right");
  REQUIRE(stream->Write(Request(completions, 0, "gated")));
  std::set<uint64_t> ids;
  v1::ScoreResponse response;
  for (int i = 0; i < 200; ++i) {
    REQUIRE(stream->Read(&response));
    ids.insert(response.item_id());
  }
  CHECK(ids.count(0) == 0);
  CHECK(ids.size() == 200);
  // Messages that come later overtake it too.
  REQUIRE(stream->Write(Request({"wrong"}, 900)));
  REQUIRE(stream->Read(&response));
  CHECK(response.item_id() == 900);
  f.gate.Open();
  REQUIRE(stream->Read(&response));
  CHECK(response.item_id() == 0);
  stream->WritesDone();
  CHECK_FALSE(stream->Read(&response));
  CHECK(stream->Finish().ok());
}

TEST_CASE("callers take turns", "[reward_service]") {
  Fixture f(1);
  auto context = Context();
  std::unique_ptr<ClientStream> first = f.stub->Score(context.get());
  std::vector<std::string> many(900, "right");
  many.insert(many.begin(), "slow");
  REQUIRE(first->Write(Request(many, 0, "gated")));
  f.gate.WaitForWaiting(1);
  auto other_context = Context();
  std::unique_ptr<ClientStream> second = f.stub->Score(other_context.get());
  REQUIRE(second->Write(Request({"right"}, 1, "gated")));
  // Only when both wait for the one thread.
  for (int i = 0; i < 2000; ++i) {
    if (f.metrics.Render().find("hone_reward_waiting_items 901") != std::string::npos) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  std::atomic<int> first_read = 0;
  std::thread reader([&first, &first_read] {
    v1::ScoreResponse response;
    while (first->Read(&response)) ++first_read;
  });
  f.gate.Open();
  v1::ScoreResponse response;
  REQUIRE(second->Read(&response));
  first->WritesDone();
  second->WritesDone();
  reader.join();
  CHECK(first_read == 901);
  CHECK(first->Finish().ok());
  CHECK(second->Finish().ok());
}

TEST_CASE("a failure is a typed verdict, not the end of the stream", "[reward_service]") {
  Fixture f(2);
  auto context = Context();
  std::unique_ptr<ClientStream> stream = f.stub->Score(context.get());
  REQUIRE(stream->Write(Request({"broken", "right"}, 1, "gated")));
  stream->WritesDone();
  v1::ScoreResponse response;
  int seen = 0;
  while (stream->Read(&response)) {
    ++seen;
    CHECK(response.verdict().outcome() ==
          (response.item_id() == 1 ? v1::OUTCOME_CRASHED : v1::OUTCOME_SCORED));
  }
  CHECK(seen == 2);
  CHECK(stream->Finish().ok());
}

TEST_CASE("wrong specifications end a stream with INVALID_ARGUMENT", "[reward_service]") {
  Fixture f(1);
  auto finish = [&f](const std::vector<v1::ScoreRequest>& requests) {
    auto context = Context();
    std::unique_ptr<ClientStream> stream = f.stub->Score(context.get());
    for (const v1::ScoreRequest& request : requests) stream->Write(request);
    stream->WritesDone();
    v1::ScoreResponse response;
    while (stream->Read(&response)) {
    }
    return stream->Finish();
  };
  grpc::Status status = finish({Request({"right"}, 1, "nonsense")});
  CHECK(status.error_code() == grpc::StatusCode::INVALID_ARGUMENT);
  CHECK(status.error_message().find("nonsense") != std::string::npos);
  CHECK(status.error_message().find("gated") != std::string::npos);
  status = finish({Request({"right"}, 1)});
  CHECK(status.error_code() == grpc::StatusCode::INVALID_ARGUMENT);
  status = finish({Request({"right"}, 1, "gated"), Request({"right"}, 2, "gated")});
  CHECK(status.error_code() == grpc::StatusCode::INVALID_ARGUMENT);
  CHECK(finish({}).ok());
}

TEST_CASE("a batch is answered in order", "[reward_service]") {
  Fixture f(3);
  v1::ScoreBatchRequest request;
  request.mutable_reward()->add_scorers()->set_name("gated");
  for (int i = 0; i < 300; ++i)
    request.add_items()->set_completion(i % 3 == 0 ? "right" : i % 3 == 1 ? "wrong" : "broken");
  v1::ScoreBatchResponse response;
  auto context = Context();
  REQUIRE(f.stub->ScoreBatch(context.get(), request, &response).ok());
  REQUIRE(response.verdicts_size() == 300);
  for (int i = 0; i < 300; ++i) {
    CHECK(response.verdicts(i).correct() == (i % 3 == 0));
    CHECK((response.verdicts(i).outcome() == v1::OUTCOME_CRASHED) == (i % 3 == 2));
  }
  // Asked again, it says the same to the byte, timings apart.
  v1::ScoreBatchResponse again;
  context = Context();
  REQUIRE(f.stub->ScoreBatch(context.get(), request, &again).ok());
  for (v1::ScoreBatchResponse* r : {&response, &again})
    for (v1::Verdict& v : *r->mutable_verdicts()) {
      v.clear_seconds();
      v.clear_queue_seconds();
      for (v1::ScorePart& part : *v.mutable_parts()) part.clear_seconds();
    }
  CHECK(response.SerializeAsString() == again.SerializeAsString());
  request.clear_items();
  context = Context();
  REQUIRE(f.stub->ScoreBatch(context.get(), request, &response).ok());
  CHECK(response.verdicts_size() == 0);
  request.mutable_reward()->mutable_scorers(0)->set_name("nonsense");
  context = Context();
  CHECK(f.stub->ScoreBatch(context.get(), request, &response).error_code() ==
        grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_CASE("the scorers are listed", "[reward_service]") {
  Fixture f(1);
  v1::ListScorersResponse response;
  auto context = Context();
  REQUIRE(f.stub->ListScorers(context.get(), {}, &response).ok());
  REQUIRE(response.scorers_size() == 1);
  CHECK(response.scorers(0).name() == "gated");
  CHECK(response.scorers(0).version() == "1");
}

TEST_CASE("a cancelled call leaves its waiting items unscored and harms nobody",
          "[reward_service]") {
  Fixture f(1);
  auto context = Context();
  std::unique_ptr<ClientStream> stream = f.stub->Score(context.get());
  std::vector<std::string> many(500, "right");
  many.insert(many.begin(), "slow");
  REQUIRE(stream->Write(Request(many, 0, "gated")));
  f.gate.WaitForWaiting(1);
  context->TryCancel();
  CHECK(stream->Finish().error_code() == grpc::StatusCode::CANCELLED);
  // The one in progress still holds the thread, but nobody waits for it; the rest is forgotten.
  bool forgotten = false;
  for (int i = 0; i < 2000 && !forgotten; ++i) {
    forgotten = f.metrics.Render().find("hone_reward_waiting_items 0") != std::string::npos;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  CHECK(forgotten);
  f.gate.Open();
  v1::ScoreBatchRequest request;
  request.mutable_reward()->add_scorers()->set_name("gated");
  request.add_items()->set_completion("right");
  v1::ScoreBatchResponse response;
  auto batch_context = Context();
  CHECK(f.stub->ScoreBatch(batch_context.get(), request, &response).ok());
  CHECK(f.metrics.Render().find("scorer=\"gated\"} 1\n") != std::string::npos);
}

TEST_CASE("draining answers what was sent, then ends streams with UNAVAILABLE",
          "[reward_service]") {
  Fixture f(2);
  auto context = Context();
  std::unique_ptr<ClientStream> busy = f.stub->Score(context.get());
  REQUIRE(busy->Write(Request({"slow", "right"}, 1, "gated")));
  f.gate.WaitForWaiting(1);
  auto idle_context = Context();
  std::unique_ptr<ClientStream> idle = f.stub->Score(idle_context.get());
  REQUIRE(idle->Write(Request({"right"}, 1, "gated")));
  v1::ScoreResponse response;
  REQUIRE(idle->Read(&response));

  f.service->Drain();
  CHECK_FALSE(idle->Read(&response));
  CHECK(idle->Finish().error_code() == grpc::StatusCode::UNAVAILABLE);
  f.gate.Open();
  int answered = 0;
  while (busy->Read(&response)) ++answered;
  CHECK(answered == 2);
  CHECK(busy->Finish().error_code() == grpc::StatusCode::UNAVAILABLE);

  auto late_context = Context();
  std::unique_ptr<ClientStream> late = f.stub->Score(late_context.get());
  CHECK_FALSE(late->Read(&response));
  CHECK(late->Finish().error_code() == grpc::StatusCode::UNAVAILABLE);
}

TEST_CASE("a client that sends without reading is held back, not stored", "[reward_service]") {
  Fixture f(2);
  auto context = Context();
  std::unique_ptr<ClientStream> stream = f.stub->Score(context.get());
  constexpr int kMessages = 300;
  std::atomic<int> written = 0;
  std::thread writer([&stream, &written] {
    v1::ScoreRequest request = Request({"slow"}, 0, "gated");
    request.mutable_items(0)->mutable_prompt()->set_text(std::string(500'000, 'x'));
    for (int i = 0; i < kMessages && stream->Write(request); ++i) {
      ++written;
      request.clear_reward();
      request.mutable_items(0)->set_completion("slow");
    }
    stream->WritesDone();
  });
  f.gate.WaitForWaiting(2);
  int before = -1;
  for (int still = 0; still < 5;) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    still = written == before ? still + 1 : 0;
    before = written;
  }
  CHECK(written < 60);  // 4 MiB here, and what the transport keeps
  f.gate.Open();
  v1::ScoreResponse response;
  int answered = 0;
  while (stream->Read(&response)) ++answered;
  writer.join();
  CHECK(answered == kMessages);
  CHECK(stream->Finish().ok());
}

}  // namespace
}  // namespace hone::testing
