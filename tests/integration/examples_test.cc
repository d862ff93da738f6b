// Every run file of deploy/examples that trains a published model, with a tiny random model of the
// same architecture in its place: prompts made by the script beside it or by hand, generation,
// rewards, training, evaluation, checkpoint. (countdown.yaml: whole_loop_test.)

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include "libs/config/run_file.h"
#include "libs/loop/learner_loop.h"
#include "libs/loop/rollout_loop.h"
#include "tests/testing/in_process_cluster.h"
#include "tests/testing/tiny_model.h"

namespace hone::testing {
namespace {

const std::string kExamples = HONE_EXAMPLES_DIR;

// GSM8K's form. Returns what gsm8k.py makes of it.
std::string Prompts(const std::string& dir, const std::string& kind) {
  std::ofstream out(dir + "/problems.jsonl");
  for (int i = 2; i < 8; ++i)
    out << nlohmann::json{{"question", "How many are " + std::to_string(i) + " and 3?"},
                          {"answer", "Count on.\n#### " + std::to_string(i + 3)}}
               .dump()
        << "\n";
  out.close();
  const std::string command = "python3 -B " + kExamples + "/gsm8k.py --template " + kind + " " +
                              dir + "/problems.jsonl > " + dir + "/prompts.jsonl";
  REQUIRE(std::system(command.c_str()) == 0);
  std::ifstream in(dir + "/prompts.jsonl", std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

struct Finished {
  v1::RunSpec spec;
  v1::Run run;
  std::vector<v1::Group> groups;
};

// Two steps of `example` with the model of `dir`/model and the same prompts in each of its sets.
Finished RunExample(const std::string& dir, const std::string& example, const std::string& prompts,
                    const std::vector<std::string>& more = {}) {
  Finished finished;
  std::vector<std::string> changes = {"model.path=" + dir + "/model",
                                      "model.precision=f32",
                                      "model.max_context=1024",
                                      "checkpoint.path=" + dir + "/out",
                                      "checkpoint.every_steps=1",
                                      "stages.0.grpo.steps=2",
                                      "stages.0.grpo.prompts_per_step=3",
                                      "stages.0.grpo.group_size=4",
                                      "stages.0.grpo.optimizer.warmup_steps=1",
                                      "stages.0.grpo.updates_per_step=1",  // parity of every token
                                      "stages.0.grpo.drop_zero_variance=false",
                                      "stages.0.grpo.sampling.max_new_tokens=24"};
  changes.insert(changes.end(), more.begin(), more.end());
  const auto spec = LoadRunSpec(kExamples + "/" + example + ".yaml", changes);
  REQUIRE_OK(spec);
  finished.spec = *spec;
  auto buffer = Buffer::Open({.path = dir + "/coordinator", .fsync = false});
  REQUIRE_OK(buffer);
  std::vector<std::string> sets = {spec->stages(0).grpo().prompt_set()};
  for (const v1::EvaluationSpec& evaluation : spec->evaluations())
    sets.push_back(evaluation.prompt_set());
  for (const std::string& set : sets) {
    REQUIRE_OK((*buffer)->CreatePromptSet(set));
    REQUIRE_OK((*buffer)->AppendPrompts(set, 0, prompts));
    v1::SealPromptSetRequest seal;
    seal.set_id(set);
    REQUIRE_OK((*buffer)->SealPromptSet(seal));
  }
  v1::CreateRunRequest create;
  create.set_run_id("example");
  *create.mutable_spec() = *spec;
  REQUIRE_OK((*buffer)->CreateRun(create));

  LocalCoordinator coordinator(**buffer);
  LocalVerdicts verdicts;
  LocalWeights weights;
  LocalWeights::Source source(weights);
  RolloutLoop rollout({.worker_id = "rollout", .incarnation = 1, .cache_tokens = 16384},
                      coordinator, verdicts, coordinator, source, nullptr);
  std::thread worker([&] { CHECK_OK(rollout.Run()); });
  LearnerLoop learner(
      {.learner_id = "learner", .incarnation = 1, .weights_address = "here", .once = true},
      coordinator, weights, nullptr);
  (void)learner.Run();  // the run's state tells how it went
  coordinator.Stop();
  rollout.Stop(/*drain=*/false);
  worker.join();

  finished.run = *(*buffer)->GetRun("example");
  INFO(finished.run.message());
  REQUIRE(finished.run.state() == v1::RUN_STATE_SUCCEEDED);
  CHECK(finished.run.step() == 2);
  v1::ListStepMetricsRequest list;
  list.set_run_id("example");
  list.set_page_size(10);
  const auto steps = (*buffer)->ListStepMetrics(list);
  REQUIRE_OK(steps);
  REQUIRE(steps->steps_size() == 2);
  for (const v1::StepMetrics& step : steps->steps()) {
    CHECK(step.values().at("completions") == 12);
    CHECK(step.values().at("logprob_abs_diff_max") == 0);
    CHECK(step.values().at("unscored_fraction") == 0);
  }
  v1::ListGroupsRequest groups;
  groups.set_run_id("example");
  groups.set_page_size(10);
  const auto found = (*buffer)->ListGroups(groups);
  REQUIRE_OK(found);
  finished.groups.assign(found->groups().begin(), found->groups().end());
  // What comes out is a model again.
  const std::string folder = finished.run.checkpoint_path() + "/hf";
  const auto trained = LoadModelConfig(folder);
  REQUIRE_OK(trained);
  const ParameterLayout layout(*trained);
  Weights loaded(layout, DType::kF32);
  REQUIRE_OK(LoadWeights(*HfReader::Open(folder), *trained, layout, loaded));
  CHECK(std::filesystem::exists(folder + "/tokenizer.json"));
  return finished;
}

TEST_CASE("the run files of deploy/examples run from prompts to a checkpoint", "[integration]") {
  for (const ExampleModel& example : ExampleModels()) {
    INFO(example.run);
    TempDir dir;
    nlohmann::json config = example.config;
    config.update(example.small);
    WriteTinyModel(dir.path() + "/model", config);
    RunExample(dir.path(), example.run, Prompts(dir.path(), example.prompts),
               {"evaluations.0.max_prompts=2", "evaluations.0.every_steps=1",
                "evaluations.0.sampling.max_new_tokens=16"});
  }
}

TEST_CASE("stories.yaml runs with any small Llama", "[integration]") {
  TempDir dir;
  nlohmann::json config = ExampleModels()[0].small;
  config.update({{"model_type", "llama"},
                 {"architectures", {"LlamaForCausalLM"}},
                 {"num_key_value_heads", 2},
                 {"rms_norm_eps", 1e-5},
                 {"hidden_act", "silu"},
                 {"rope_theta", 1e4},
                 {"tie_word_embeddings", true}});
  WriteTinyModel(dir.path() + "/model", config);
  std::string prompts;
  for (int i = 0; i < 6; ++i) prompts += "{\"prompt\": \"Once upon a time\"}\n";
  const Finished done = RunExample(dir.path(), "stories", prompts);
  REQUIRE(done.groups.size() == 6);
  CHECK(done.groups[0].prompt_text() == "Once upon a time");
}

TEST_CASE("chat.yaml runs from conversations to a checkpoint that still has its template",
          "[integration]") {
  TempDir dir;
  const ExampleModel qwen = ExampleModels()[0];
  nlohmann::json config = qwen.config;
  config.update(qwen.small);
  const std::string model = dir.path() + "/model";
  WriteTinyModel(model, config);
  std::ofstream(model + "/tokenizer_config.json")
      << nlohmann::json{{"eos_token", "<eos>"},
                        {"chat_template",
                         "{%- for m in messages %}{{ '<\uff5cUser\uff5c>' + m.role + ': ' + "
                         "m.content }}{%- endfor %}{{ '<\uff5cAssistant\uff5c>' }}"}}
             .dump();
  std::string prompts;
  for (int i = 2; i < 8; ++i) {
    const std::string question = "How many are " + std::to_string(i) + " and 3? <eos>";
    nlohmann::json line = {{"answer", std::to_string(i + 3)}};
    if (i % 2 == 0) {
      line["prompt"] = question;
    } else {
      line["messages"] = {{{"role", "user"}, {"content", question}}};
    }
    prompts += line.dump() + "\n";
  }
  const Finished done = RunExample(dir.path(), "chat", prompts);
  REQUIRE(done.groups.size() == 6);
  const std::string user = "<\uff5cUser\uff5c>";
  const std::string begin =
      user + "system: " + done.spec.model().chat().system_prompt() + user + "user: How many are ";
  const std::string end = " and 3? <eos><\uff5cAssistant\uff5c>";
  for (const v1::Group& group : done.groups) {
    INFO(group.prompt_text());
    CHECK(group.prompt_text().substr(0, begin.size()) == begin);
    CHECK(group.prompt_text().substr(begin.size() + 1) == end);
    // Control tokens come from the template: two turns and where the model speaks, no <eos>.
    const auto& ids = group.prompt_token_ids();
    CHECK(std::count_if(ids.begin(), ids.end(), [](int id) { return id >= 256; }) == 3);
    CHECK(group.completions_size() == 4);
  }
  CHECK(std::filesystem::exists(done.run.checkpoint_path() + "/hf/tokenizer_config.json"));
}

}  // namespace
}  // namespace hone::testing
