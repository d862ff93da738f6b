// hone eval: a model folder on a prompt file, with the engine and the scorers in this process.

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "libs/base/check.h"
#include "libs/base/clock.h"
#include "libs/base/file.h"
#include "libs/base/status.h"
#include "libs/buffer/evaluation_score.h"
#include "libs/config/validate.h"
#include "libs/engine/engine.h"
#include "libs/loop/model_folder.h"
#include "libs/loop/score_item.h"
#include "libs/reward/judge.h"
#include "libs/train/pass_at_k.h"
#include "services/cli/cli.h"
#include "services/cli/context.h"
#include "services/cli/evaluation_file.h"
#include "services/cli/model_check.h"
#include "services/cli/open_items.h"
#include "services/cli/scoring.h"
#include "services/cli/watch.h"

namespace hone::cli {
namespace {

struct Flags {
  std::string model, adapter, prompts, save, precision = "f32";
  v1::Device device = v1::DEVICE_AUTO;
  RewardFlags reward;
  v1::SamplingParams sampling;
  double temperature = 1.0, top_p = 1.0;
  int top_k = 0, max_new_tokens = 256, samples = 1, threads = 0;
  bool greedy = false, chat = false;
  v1::ChatSpec chat_spec;
  int64_t limit = 0;
  uint64_t seed = 1;
};

absl::Status Check(Flags& flags) {
  if (flags.greedy && flags.samples > 1)
    return absl::InvalidArgumentError(absl::StrCat("--greedy gives the same completion ",
                                                   flags.samples, " times: use --samples 1"));
  if (!flags.chat && flags.chat_spec.ByteSizeLong() > 0)
    return absl::InvalidArgumentError(
        "--system-prompt, --chat-template and --chat-variables go with --chat");
  flags.sampling.set_temperature(static_cast<float>(flags.temperature));
  flags.sampling.set_top_p(static_cast<float>(flags.top_p));
  flags.sampling.set_top_k(flags.top_k);
  flags.sampling.set_greedy(flags.greedy);
  flags.sampling.set_max_new_tokens(flags.max_new_tokens);
  return ToStatus(Validate(flags.sampling, "sampling"));
}

// Completions that wait for their verdict, at most: generation waits for room.
constexpr size_t kMostOpen = 1024;

Judge::Options JudgeOptions(int threads, const Scorers& scorers) {
  Judge::Options options;
  options.threads = threads;
  // An item that waits for a sandbox or a verifier does so within its scorer's timeout. So none
  // goes there before it is its turn, and verdicts are those of one item after another.
  options.blocking_threads = scorers.items_at_once();
  options.spare_threads = 0;
  return options;
}

// Generates, and scores what is finished meanwhile; groups[i] is of prompts[i].
absl::StatusOr<std::vector<v1::Group>> Generate(Context& context, const Flags& flags,
                                                const Scorers& scorers,
                                                const std::shared_ptr<const RewardFunction>& reward,
                                                const std::vector<PromptAndLine>& prompts) {
  v1::ModelSpec spec;
  spec.set_path(flags.model);
  spec.set_precision(flags.precision == "bf16" ? v1::PRECISION_BF16 : v1::PRECISION_F32);
  spec.set_device(flags.device);
  if (!flags.adapter.empty()) spec.mutable_lora()->set_adapter(flags.adapter);
  if (flags.chat) *spec.mutable_chat() = flags.chat_spec;
  HONE_ASSIGN_OR_RETURN(const ModelFolder folder, OpenModelFolder(spec));
  const Transformer transformer(folder.config, folder.max_context, folder.lora, *folder.table);
  const auto weights = std::make_shared<Weights>(transformer.layout(), folder.dtype, *folder.table);
  HONE_RETURN_IF_ERROR(LoadModelWeights(spec, folder, transformer.layout(), *weights));

  std::vector<v1::Group> groups(prompts.size());
  const int64_t all = static_cast<int64_t>(prompts.size()) * flags.samples;
  int64_t tokens = 0;
  TimePoint start = SystemClock::Get().Now();
  const auto elapsed = [&] {
    return std::chrono::duration<double>(SystemClock::Get().Now() - start).count();
  };
  const auto show = [&](size_t done) {
    context.output.Progress(
        absl::StrCat(done, " of ", all, " completions, ",
                     Grouped(std::llround(static_cast<double>(tokens) / elapsed())), " tok/s"));
  };
  Engine::Options options;
  options.threads = flags.threads > 0
                        ? flags.threads
                        : std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  options.dtype = folder.dtype;
  options.vocab = folder.vocab;
  OpenItems open(kMostOpen, show);
  Judge judge(JudgeOptions(options.threads, scorers));
  const std::shared_ptr<Judge::Lane> lane = judge.NewLane();
  Engine engine(transformer, folder.tokenizer.get(), options,
                [&](const GroupRequest& request, v1::Completion completion) {
                  v1::Group& group = groups[request.id];
                  v1::ScoreItem item =
                      MakeScoreItem(prompts[request.id].prompt, group.prompt_text(), completion);
                  // The time that an item has here is its scorers' own; waiting costs nothing.
                  item.set_timeout_seconds(RewardFunction::kMaxTimeout);
                  v1::Completion& kept = *group.add_completions();  // stays where it is
                  kept = std::move(completion);
                  const absl::Status submitted =
                      judge.Submit(lane, reward, std::move(item), kNoDeadline,
                                   open.Expect(kept.mutable_verdict()));
                  HONE_CHECK(submitted.ok()) << submitted.message();
                });
  engine.SetWeights(weights, 0, InFlight::kAbort);
  for (size_t i = 0; i < prompts.size(); ++i) {
    const v1::Prompt& prompt = prompts[i].prompt;
    const auto at = [&](const absl::Status& s) {
      return absl::Status(s.code(),
                          absl::StrCat(flags.prompts, ":", prompts[i].line, ": ", s.message()));
    };
    // As rollout workers do.
    absl::StatusOr<PromptTokens> encoded = EncodePrompt(folder, prompt);
    if (!encoded.ok()) return at(encoded.status());
    v1::Group& group = groups[i];
    group.set_issue(static_cast<int64_t>(i));
    group.set_prompt_id(prompt.id());
    group.set_prompt_text(encoded->text);
    group.mutable_prompt_token_ids()->Assign(encoded->ids.begin(), encoded->ids.end());
    *group.mutable_sampling() = flags.sampling;
    group.set_seed(flags.seed);
    GroupRequest request;
    request.id = i;
    request.prompt = std::move(encoded->ids);
    request.group_size = flags.samples;
    request.sampling = flags.sampling;
    request.seed = flags.seed;
    request.issue = static_cast<int64_t>(i);
    if (const absl::Status s = engine.Submit(std::move(request)); !s.ok()) return at(s);
  }
  start = SystemClock::Get().Now();
  while (engine.Step()) {
    tokens = engine.generated_tokens();
    show(open.done());
  }
  open.Wait();
  context.output.Note(absl::StrCat(all, " completions, ", Grouped(engine.generated_tokens()),
                                   " tokens in ", Elapsed(elapsed())));
  for (v1::Group& group : groups)
    std::sort(group.mutable_completions()->begin(), group.mutable_completions()->end(),
              [](const v1::Completion& a, const v1::Completion& b) {
                return a.sample_index() < b.sample_index();
              });
  return groups;
}

absl::StatusOr<int> Evaluate(Context& context, Flags flags) {
  HONE_RETURN_IF_ERROR(Check(flags));
  flags.model = ModelFolderOf(flags.model);
  HONE_ASSIGN_OR_RETURN(const std::unique_ptr<Scorers> scorers,
                        Scorers::Create(flags.reward.resources));
  HONE_ASSIGN_OR_RETURN(const v1::RewardSpec spec,
                        ReadReward(flags.reward, scorers->registry().Describe()));
  HONE_ASSIGN_OR_RETURN(RewardFunction made, RewardFunction::Create(spec, scorers->registry()));
  const auto reward = std::make_shared<const RewardFunction>(std::move(made));
  HONE_ASSIGN_OR_RETURN(const std::vector<PromptAndLine> prompts,
                        ReadPromptFile(flags.prompts, flags.limit));
  HONE_ASSIGN_OR_RETURN(const std::vector<v1::Group> groups,
                        Generate(context, flags, *scorers, reward, prompts));
  if (!flags.save.empty()) HONE_RETURN_IF_ERROR(WriteGroups(flags.save, groups));

  std::vector<v1::PromptScore> scores;
  std::vector<int64_t> correct;
  bool complete = true;  // every completion has a score
  for (const v1::Group& g : groups) {
    scores.push_back(ScorePrompt(g));
    correct.push_back(scores.back().correct());
    complete = complete && scores.back().scored() == flags.samples;
  }
  v1::Evaluation result;
  result.set_name(flags.prompts);
  result.set_prompts(static_cast<int64_t>(prompts.size()));
  result.set_samples(flags.samples);
  result.set_done(true);
  Aggregate(scores, &result);
  if (context.output.machine()) {
    context.output.Message(result);
    return kExitOk;
  }
  google::protobuf::RepeatedPtrField<v1::Evaluation> one;
  *one.Add() = result;
  PrintEvaluations(context.output, one);
  if (flags.samples == 1) return kExitOk;
  context.output.Line("");
  // Unbiased, over the prompts that have k completions with a score.
  Table table({"K", "PASS@K"});
  for (int k = 1; k <= flags.samples;
       k = k == flags.samples ? k + 1 : std::min(2 * k, flags.samples)) {
    double sum = 0;
    int64_t n = 0;
    for (const v1::PromptScore& s : scores) {
      if (s.scored() < k) continue;
      sum += PassAtK(s.scored(), s.correct(), k);
      ++n;
    }
    table.Add({absl::StrCat(k), Number(n > 0 ? sum / static_cast<double>(n) : NAN, 4)});
  }
  table.Print(context.output);
  if (complete)
    context.output.Note(
        absl::StrCat("standard error of pass@1 from sampling: ",
                     Number(MeanPassAtOne(correct, flags.samples).standard_error, 4)));
  return kExitOk;
}

}  // namespace

void AddEvalCommand(CLI::App& app, Context& context) {
  const auto flags = std::make_shared<Flags>();
  CLI::App* command = AddCommand(app, context, "eval", "evaluate a model folder in this process",
                                 [flags](Context& c) { return Evaluate(c, *flags); });
  command->add_option("--model", flags->model, "Hugging Face folder, or a checkpoint of a run")
      ->required();
  command->add_option("--adapter", flags->adapter,
                      "LoRA adapter for it in PEFT layout, e.g. adapter/ of a run's checkpoint");
  command->add_option("--prompts", flags->prompts, "JSON lines of a prompt set")->required();
  AddRewardOptions(*command, flags->reward);
  command->add_flag("--chat", flags->chat, "write prompts out with the model's chat template");
  command->add_option("--system-prompt", *flags->chat_spec.mutable_system_prompt());
  command->add_option("--chat-template", *flags->chat_spec.mutable_template_file(),
                      "a Jinja file in place of the model's own");
  command->add_option("--chat-variables", *flags->chat_spec.mutable_variables(),
                      "JSON object of further variables of the template");
  command->add_option("--samples", flags->samples, "completions per prompt")
      ->check(CLI::Range(1, 65536))
      ->capture_default_str();
  command->add_option("--temperature", flags->temperature)->capture_default_str();
  command->add_option("--top-p", flags->top_p)->capture_default_str();
  command->add_option("--top-k", flags->top_k, "0: all")->capture_default_str();
  command->add_flag("--greedy", flags->greedy, "always the most probable token");
  command->add_option("--max-new-tokens", flags->max_new_tokens, "longest completion")
      ->capture_default_str();
  command->add_option("--seed", flags->seed)->capture_default_str();
  command->add_option("--limit", flags->limit, "only the first so many prompts; 0: all")
      ->check(CLI::NonNegativeNumber);
  command->add_option("--threads", flags->threads, "0: one per core")->check(CLI::Range(0, 1024));
  command->add_option("--precision", flags->precision)
      ->check(CLI::IsMember({"f32", "bf16"}))
      ->capture_default_str();
  AddDeviceOption(*command, flags->device);
  command->add_option("--save", flags->save, "write the completions here, one JSON group per line");
}

}  // namespace hone::cli
