#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/str_cat.h"
#include "google/protobuf/util/json_util.h"
#include "libs/reward/model/scorers.h"
#include "libs/reward/reward_function.h"
#include "tests/http/server.h"
#include "tests/testing/test.h"

namespace hone::testing {

inline TimePoint In(double seconds) {
  return SystemClock::Get().Now() + std::chrono::milliseconds(static_cast<int64_t>(seconds * 1000));
}

// A backend "m" at `server`, tried twice.
inline ModelBackends BackendAt(const Server& server, int concurrency = 16) {
  v1::VerifiersSpec spec;
  v1::BackendSpec& backend = (*spec.mutable_backends())["m"];
  backend.set_url(server.url());
  backend.set_model("the-model");
  backend.set_attempts(2);
  backend.set_concurrency(concurrency);
  backend.set_max_reply_bytes(100'000);
  absl::StatusOr<ModelBackends> backends = ModelBackends::Create(spec);
  REQUIRE_OK(backends);
  return *std::move(backends);
}

inline Registry RegistryWith(ModelBackends backends) {
  Registry registry;
  REQUIRE_OK(RegisterBuiltinScorers(registry));
  REQUIRE_OK(RegisterModelScorers(registry, std::move(backends)));
  return registry;
}

// A function of the scorers that `json` lists: [{"name": "judge", "options": {...}}].
inline absl::StatusOr<RewardFunction> Function(const std::string& json, const Registry& registry) {
  v1::RewardSpec spec;
  REQUIRE(google::protobuf::util::JsonStringToMessage("{\"scorers\": " + json + "}", &spec).ok());
  return RewardFunction::Create(spec, registry);
}

inline v1::ScoreItem Item(const std::string& completion,
                          const std::string& prompt = "What is 2 + 2?",
                          const std::string& answer = "") {
  v1::ScoreItem item;
  item.set_completion(completion);
  item.mutable_prompt()->set_text(prompt);
  item.mutable_prompt()->set_answer(answer);
  item.set_finish_reason(v1::FINISH_REASON_STOP_TOKEN);
  return item;
}

// "SCORED 1", "TIMEOUT 0".
inline std::string Says(const v1::ScorePart& part) {
  return absl::StrCat(v1::Outcome_Name(part.outcome()).substr(8), " ", part.value());
}

// A chat completion that says `text`.
inline std::string Chat(const std::string& text, const std::string& finish = "stop") {
  return nlohmann::json{{"id", "x"},
                        {"choices",
                         {{{"index", 0},
                           {"finish_reason", finish},
                           {"message", {{"role", "assistant"}, {"content", text}}}}}}}
      .dump();
}

// The word that a verdict in answer to `request` needs.
inline std::string WordOf(const ServerRequest& request) {
  const std::string system = nlohmann::json::parse(request.body)["messages"][0]["content"];
  const size_t at = system.find("VERDICT ") + 8;
  return system.substr(at, system.find(' ', at) - at);
}

}  // namespace hone::testing
