#pragma once

// What a run does with a device: generate, score, train, send the weights to a worker, generate.

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/weights/publisher.h"
#include "libs/weights/stager.h"
#include "tests/engine/world.h"

namespace hone {

struct Outcome {
  Completions completions, again;  // before and after the updates
  std::vector<float> scores;
  std::vector<StepValues> steps;
  std::vector<uint64_t> digests;
};

// Groups as a coordinator would hand them out, with rewards by sample.
inline std::vector<v1::Group> Judged(const std::vector<GroupRequest>& requests,
                                     const Completions& completions) {
  std::vector<v1::Group> groups;
  for (const GroupRequest& r : requests) {
    v1::Group& g = groups.emplace_back();
    g.set_issue(r.issue);
    g.mutable_prompt_token_ids()->Assign(r.prompt.begin(), r.prompt.end());
    *g.mutable_sampling() = r.sampling;
    for (int i = 0; i < r.group_size; ++i) {
      v1::Completion& c = *g.add_completions();
      c = completions.at({r.issue, i});
      c.mutable_verdict()->set_outcome(v1::OUTCOME_SCORED);
      c.mutable_verdict()->set_score(i % 2);
    }
  }
  return groups;
}

inline Outcome Train(const std::string& name, DType dtype, const LoraConfig& lora,
                     v1::OptimizerSpec::Kind optimizer, const kernels::Table& table) {
  const World world(name, dtype, lora, table);
  const ParameterLayout& layout = world.model->layout();
  Trainer& trainer = *world.trainer;
  Outcome out;
  const std::vector<GroupRequest> requests = world.Requests(4, 12);
  out.completions = Generate(world, {.threads = 2, .cache_tokens = 2048}, requests);
  {
    Engine engine(*world.model, nullptr,
                  {.max_batch_tokens = 50, .cache_tokens = 2048, .dtype = dtype},
                  [](const GroupRequest&, v1::Completion) {});
    engine.SetWeights(world.weights(), 5, InFlight::kKeep);
    std::vector<int32_t> ids = requests[2].prompt;
    const v1::Completion& c = out.completions.at({requests[2].issue, 0});
    ids.insert(ids.end(), c.token_ids().begin(), c.token_ids().end());
    out.scores = engine.Score(ids, requests[2].sampling.temperature()).value();
    CHECK(std::equal(c.logprobs().begin(), c.logprobs().end(),
                     out.scores.begin() + static_cast<int64_t>(requests[2].prompt.size()) - 1));
  }

  v1::GrpoStage grpo;
  grpo.set_group_size(4);
  grpo.set_steps(2);
  grpo.set_updates_per_step(2);
  grpo.set_max_micro_batch_tokens(150);
  grpo.mutable_sampling()->set_max_new_tokens(12);
  grpo.mutable_optimizer()->set_kind(optimizer);
  grpo.mutable_optimizer()->set_learning_rate(1e-2);
  grpo.mutable_kl()->set_beta(0.1);
  grpo.mutable_kl()->set_refresh_steps(2);
  grpo.mutable_loss()->set_entropy_coef(0.01);
  grpo.mutable_moe()->set_bias_update_rate(0.01);
  grpo.mutable_moe()->set_sequence_balance(0.01);
  trainer.BeginStage(/*with_reference=*/true);
  const std::vector<v1::Group> groups = Judged(requests, out.completions);
  for (int64_t step = 0; step < 2; ++step) {
    const auto values = trainer.GrpoStep(grpo, groups, step, 5, 1);
    REQUIRE_OK(values);
    CHECK(values->at("grad_norm") > 0);
    out.steps.push_back(*values);
    out.digests.push_back(WeightsDigest(trainer.weights()));
  }
  CHECK(out.digests[0] != out.digests[1]);
  v1::SftStage sft;
  sft.set_steps(2);
  sft.mutable_optimizer()->set_learning_rate(1e-3);
  const std::vector<Demonstration> demonstrations = {{{3, 4, 5}, {6, 7, 1}}, {{8}, {9, 1}}};
  out.steps.push_back(trainer.SftStep(sft, demonstrations, 0).value());

  // To a worker, which generates with what came: whole, and in bf16 the last step as its changes.
  Publisher publisher;
  std::shared_ptr<const Weights> base, arrived;
  if (layout.adapted()) base = world.weights();
  Stager stager("r", layout, dtype, base, table);
  const auto publish = [&](int64_t version) {
    publisher.Publish({.run_id = "r",
                       .version = version,
                       .layout = layout,
                       .weights = trainer.shared_weights(),
                       .base_digest = BaseDigest(trainer.weights()),
                       .changes = trainer.changes()});
    for (const auto& transfer : publisher.WaitFor("r", stager.have_version(), TimePoint{})) {
      CHECK(transfer->whole() == (version == 6 || trainer.changes() == nullptr));
      REQUIRE_OK(stager.Begin(transfer->manifest()));
      for (const v1::SubscribeResponse& message : transfer->chunks())
        REQUIRE_OK(stager.Add(message.chunk()));
    }
    arrived = stager.Take();
    REQUIRE(arrived != nullptr);
  };
  publish(6);
  sft.mutable_optimizer()->set_learning_rate(1e-6);  // few bf16 weights change
  out.steps.push_back(trainer.SftStep(sft, demonstrations, 1).value());
  publish(7);
  out.digests.push_back(WeightsDigest(*arrived));
  CHECK(out.digests.back() == WeightsDigest(trainer.weights()));
  Engine engine(*world.model, nullptr, {.cache_tokens = 2048, .dtype = dtype},
                [&](const GroupRequest& r, v1::Completion c) {
                  c.clear_generate_seconds();
                  out.again[{r.issue, c.sample_index()}] = std::move(c);
                });
  engine.SetWeights(arrived, 7, InFlight::kKeep);
  for (const GroupRequest& r : requests) REQUIRE_OK(engine.Submit(r));
  while (engine.Step()) {
  }
  return out;
}

inline void CheckEqual(const Completions& got, const Completions& want) {
  REQUIRE(got.size() == want.size());
  for (const auto& [key, completion] : want)
    CHECK(got.at(key).SerializeAsString() == completion.SerializeAsString());
}

struct Variant {
  const char* name;
  DType dtype;
  LoraConfig lora;
  v1::OptimizerSpec::Kind optimizer;
  std::string text() const {
    return absl::StrCat(name, dtype == DType::kBF16 ? " bf16" : " f32", " rank ", lora.rank);
  }
};
inline std::vector<Variant> Variants() {
  const LoraConfig lora{.rank = 4, .alpha = 8, .targets = {LoraConfig::kAllLinear}};
  return {{"dsv3", DType::kF32, {}, v1::OptimizerSpec::KIND_MUON},
          {"dsv3", DType::kBF16, lora, v1::OptimizerSpec::KIND_ADAMW},
          {"qwen3_moe", DType::kBF16, {}, v1::OptimizerSpec::KIND_MUON},
          {"llama31_gqa_tied", DType::kF32, lora, v1::OptimizerSpec::KIND_ADAMW}};
}

}  // namespace hone
