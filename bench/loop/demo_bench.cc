// The Countdown recipe in one process and without services: tokens per second of generation and of
// training.
//   demo_bench DATA_DIR THREADS SFT_STEPS GRPO_STEPS
// DATA_DIR is what `hone demo-data` wrote. One JSON line at the end.

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>

#include "libs/base/random.h"
#include "libs/engine/engine.h"
#include "libs/model/load.h"
#include "libs/reward/reward_function.h"
#include "libs/train/trainer.h"
#include "nlohmann/json.hpp"

namespace hone {
namespace {

double Now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

struct Item {
  std::vector<int32_t> prompt, response;
  v1::Prompt text;
};

std::vector<Item> Read(const std::string& path, const Tokenizer& tokenizer) {
  std::vector<Item> items;
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);) {
    const auto json = nlohmann::json::parse(line);
    Item& item = items.emplace_back();
    const auto encode = [&](const char* field) {
      return tokenizer.Encode(json[field].get<std::string>(), {.parse_special = true}).value();
    };
    item.prompt = encode("prompt");
    if (json.contains("response")) item.response = encode("response");
    auto& fields = *item.text.mutable_metadata()->mutable_fields();
    for (int n : json["numbers"])
      fields["numbers"].mutable_list_value()->add_values()->set_number_value(n);
    fields["target"].set_number_value(json["target"]);
  }
  HONE_CHECK(!items.empty()) << path;
  return items;
}

void Optimizer(v1::OptimizerSpec& spec, double rate) {
  spec.set_kind(v1::OptimizerSpec::KIND_MUON);
  spec.set_learning_rate(rate);
}

int Main(const std::string& dir, int threads, int sft_steps, int grpo_steps) {
  const auto tokenizer = Tokenizer::Load(dir + "/model/tokenizer.json").value();
  const Transformer model(LoadModelConfig(dir + "/model").value());
  const auto sft = Read(dir + "/sft.jsonl", *tokenizer);
  const auto rl = Read(dir + "/rl.jsonl", *tokenizer);
  Trainer trainer(model, {.threads = threads, .vocab = tokenizer->vocab_size()});
  InitializeWeights(model.layout(), 1, trainer.weights());
  trainer.WeightsChanged();

  v1::SftStage cold;
  cold.set_steps(sft_steps);
  Optimizer(*cold.mutable_optimizer(), 4e-3);
  double start = Now(), sft_tokens = 0;
  for (int step = 0; step < sft_steps; ++step) {
    std::vector<Demonstration> batch;
    for (size_t i = 0; i < 32; ++i) {
      const Item& item = sft[(static_cast<size_t>(step) * 32 + i) % sft.size()];
      batch.push_back({item.prompt, item.response});
    }
    sft_tokens += trainer.SftStep(cold, batch, step).value()["batch_tokens"];
  }
  const double sft_rate = sft_tokens / (Now() - start);

  v1::RewardSpec spec;
  spec.add_scorers()->set_name("countdown");
  const RewardFunction reward = RewardFunction::Create(spec).value();
  std::map<uint64_t, v1::Group> groups;
  const std::vector<Item>* prompts = &rl;
  size_t first = 0;
  Engine engine(model, tokenizer.get(), {.threads = threads, .vocab = tokenizer->vocab_size()},
                [&](const GroupRequest& r, v1::Completion c) {
                  v1::ScoreItem item;
                  *item.mutable_prompt() = (*prompts)[(first + r.id) % prompts->size()].text;
                  item.set_completion(c.text());
                  item.set_finish_reason(c.finish_reason());
                  *c.mutable_verdict() = reward.Score(item);
                  *groups[r.id].add_completions() = std::move(c);
                });
  v1::GrpoStage grpo;
  grpo.set_group_size(16);
  grpo.set_updates_per_step(2);
  grpo.mutable_sampling()->set_max_new_tokens(80);
  grpo.mutable_sampling()->set_temperature(1);
  Optimizer(*grpo.mutable_optimizer(), 2e-4);
  double generate = 0, train = 0, trained = 0, packed = 0;
  for (int step = 0; step < grpo_steps; ++step) {
    engine.SetWeights({&trainer.weights(), [](const Weights*) {}}, step, InFlight::kAbort);
    groups.clear();
    first = static_cast<size_t>(step) * 16;
    start = Now();
    for (uint64_t i = 0; i < 16; ++i) {
      const Item& item = rl[(first + i) % rl.size()];
      v1::Group& g = groups[i];
      g.mutable_prompt_token_ids()->Assign(item.prompt.begin(), item.prompt.end());
      *g.mutable_sampling() = grpo.sampling();
      const absl::Status status = engine.Submit({.id = i,
                                                 .prompt = item.prompt,
                                                 .group_size = 16,
                                                 .sampling = grpo.sampling(),
                                                 .seed = 1,
                                                 .issue = static_cast<int64_t>(first + i)});
      HONE_CHECK(status.ok()) << status.ToString();
    }
    while (engine.Step()) {
    }
    generate += Now() - start;
    std::vector<v1::Group> batch;
    for (auto& [id, g] : groups) {
      // As the prototype counts: every sequence with its prompt.
      for (const v1::Completion& c : g.completions())
        trained += g.prompt_token_ids_size() + c.token_ids_size();
      batch.push_back(std::move(g));
    }
    start = Now();
    packed += trainer.GrpoStep(grpo, batch, step, step, 1).value()["batch_tokens"];
    train += Now() - start;
  }
  std::printf(
      "{\"threads\": %d, \"sft_tok_s\": %.0f, \"gen_tok_s\": %.0f, \"train_tok_s\": %.0f, "
      "\"train_packed_tok_s\": %.0f, \"tokens_per_completion\": %.1f}\n",
      threads, sft_rate, static_cast<double>(engine.generated_tokens()) / generate, trained / train,
      packed / train, static_cast<double>(engine.generated_tokens()) / (256.0 * grpo_steps));
  return 0;
}

}  // namespace
}  // namespace hone

int main(int argc, char** argv) {
  if (argc != 5) {
    std::fprintf(stderr, "usage: demo_bench DATA_DIR THREADS SFT_STEPS GRPO_STEPS\n");
    return 2;
  }
  return hone::Main(argv[1], std::atoi(argv[2]), std::atoi(argv[3]), std::atoi(argv[4]));
}
