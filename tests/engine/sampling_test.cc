#include <algorithm>
#include <cmath>

#include "tests/engine/world.h"

namespace hone {
namespace {

TEST_CASE("weights that change in flight are told apart token by token", "[engine]") {
  World world("dsv3", DType::kF32);
  for (InFlight mode : {InFlight::kKeep, InFlight::kRecompute, InFlight::kAbort}) {
    std::vector<v1::Completion> out;
    Engine engine(*world.model, nullptr, {},
                  [&](const GroupRequest&, v1::Completion c) { out.push_back(std::move(c)); });
    engine.SetWeights(world.weights(), 10, InFlight::kKeep);
    REQUIRE_OK(engine.Submit(world.Requests(2, 20)[1]));
    for (int i = 0; i < 4; ++i) engine.Step();
    engine.SetWeights(world.weights(), 11, mode);
    while (engine.Step()) {
    }
    REQUIRE(out.size() == 2);
    for (const v1::Completion& c : out) {
      if (c.token_ids_size() < 4 || c.finish_reason() == v1::FINISH_REASON_STOP_TOKEN) continue;
      CHECK(c.versions(0).version() == 10);
      CHECK(c.versions(0).tokens() == 4);
      if (mode == InFlight::kAbort) {
        CHECK(c.finish_reason() == v1::FINISH_REASON_ABORT);
        continue;
      }
      REQUIRE(c.versions_size() == 2);
      CHECK(c.versions(1).version() == 11);
      CHECK(c.versions(0).tokens() + c.versions(1).tokens() == c.token_ids_size());
    }
  }
}

TEST_CASE("top-k and greedy keep what they say", "[engine]") {
  World world("qwen3_moe", DType::kF32);
  GroupRequest r = world.Requests(8, 12)[2];
  r.sampling.set_temperature(1.5f);
  r.sampling.set_top_k(3);
  for (const auto& [key, c] : Generate(world, {}, {r})) {
    REQUIRE(c.kept_mass_size() == c.token_ids_size());
    for (int i = 0; i < c.kept_mass_size(); ++i) {
      CHECK(c.kept_mass(i) > 0);
      CHECK(c.kept_mass(i) <= 1);
      CHECK(std::exp(c.logprobs(i)) <= c.kept_mass(i) + 1e-5f);
    }
  }
  r.sampling.set_greedy(true);
  const Completions greedy = Generate(world, {}, {r});
  for (const auto& [key, c] : greedy)
    CHECK(std::equal(c.token_ids().begin(), c.token_ids().end(),
                     greedy.at({r.issue, 0}).token_ids().begin()));
}

TEST_CASE("samples follow the model's distribution", "[engine]") {
  World world("llama_gqa_linear", DType::kF32);
  GroupRequest r = world.Requests(4000, 1)[1];
  r.sampling.set_temperature(1);
  std::map<int32_t, int> counts;
  std::map<int32_t, double> probability;
  for (const auto& [key, c] : Generate(world, {.max_sequences = 4000}, {r})) {
    ++counts[c.token_ids(0)];
    probability[c.token_ids(0)] = std::exp(c.logprobs(0));
  }
  double chi2 = 0;
  int cells = 0;
  for (const auto& [token, p] : probability) {
    const double expected = 4000 * p;
    if (expected < 10) continue;
    chi2 += (counts[token] - expected) * (counts[token] - expected) / expected;
    ++cells;
  }
  CHECK(cells > 10);
  CHECK(chi2 < cells + 4 * std::sqrt(2.0 * cells));  // four standard deviations
}

TEST_CASE("ids beyond the tokenizer's vocabulary are never sampled", "[engine]") {
  World world("llama_gqa_linear", DType::kF32);
  const auto vocab = static_cast<int32_t>(world.config.vocab / 2);
  GroupRequest r = world.Requests(64, 8)[0];
  r.prompt = {3, 5, 7};
  const auto beyond = [&](const Completions& completions) {
    int n = 0;
    for (const auto& [key, c] : completions)
      for (const int32_t id : c.token_ids()) n += id >= vocab ? 1 : 0;
    return n;
  };
  CHECK(beyond(Generate(world, {}, {r})) > 0);
  CHECK(beyond(Generate(world, {.vocab = vocab}, {r})) == 0);
  // Nor have they any probability: the others' sum to one.
  std::map<int32_t, double> probability;
  r.group_size = 4000;
  r.sampling.set_max_new_tokens(1);
  for (const auto& [key, c] : Generate(world, {.max_sequences = 4000, .vocab = vocab}, {r}))
    probability[c.token_ids(0)] = std::exp(c.logprobs(0));
  double sum = 0;
  for (const auto& [token, p] : probability) sum += p;
  CHECK(sum > 0.97);
  CHECK(sum < 1.0001);
}

TEST_CASE("requests that cannot be served are refused with the reason", "[engine]") {
  World world("dsv3", DType::kF32);
  Engine engine(*world.model, nullptr, {.cache_tokens = 64 * 2},
                [](const GroupRequest&, v1::Completion) {});
  const GroupRequest good = world.Requests(1, 4)[1];
  const auto refused = [&](const std::function<void(GroupRequest&)>& spoil, absl::StatusCode code) {
    GroupRequest r = good;
    spoil(r);
    CHECK_CODE(engine.Submit(std::move(r)), code);
  };
  using Code = absl::StatusCode;
  refused([](GroupRequest& r) { r.prompt.clear(); }, Code::kInvalidArgument);
  refused([](GroupRequest& r) { r.prompt[0] = 96; }, Code::kInvalidArgument);
  refused([](GroupRequest& r) { r.prompt.assign(256, 2); }, Code::kInvalidArgument);
  refused([](GroupRequest& r) { r.sampling.set_max_new_tokens(0); }, Code::kInvalidArgument);
  refused([](GroupRequest& r) { r.sampling.set_top_p(1.5f); }, Code::kInvalidArgument);
  refused([](GroupRequest& r) { r.sampling.add_stop(std::string("x")); }, Code::kInvalidArgument);
  refused(
      [](GroupRequest& r) {
        r.prompt.assign(100, 2);
        r.sampling.set_max_new_tokens(100);
      },
      Code::kResourceExhausted);
}

}  // namespace
}  // namespace hone
