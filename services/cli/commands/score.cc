// hone score: what the scorers say of completions in a file, in this process or at a service.

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "libs/base/clock.h"
#include "libs/base/status.h"
#include "libs/clients/reward_client.h"
#include "libs/reward/judge.h"
#include "proto/hone/v1/reward.grpc.pb.h"
#include "services/cli/cli.h"
#include "services/cli/completion_file.h"
#include "services/cli/context.h"
#include "services/cli/open_items.h"
#include "services/cli/score_report.h"
#include "services/cli/scoring.h"

namespace hone::cli {
namespace {

struct Flags {
  std::string file, prompts, address;
  RewardFlags reward;
  CompletionFields fields;
  ReportOptions report;
  int64_t limit = 0;
  int threads = 0;
  double item_timeout = 0;
  bool list = false;
};

std::function<void(size_t)> ShowProgress(Output& output, size_t all) {
  return [&output, all](size_t done) {
    output.Progress(absl::StrCat(Grouped(static_cast<int64_t>(done)), " of ",
                                 Grouped(static_cast<int64_t>(all)), " completions"));
  };
}

// In this process.
absl::StatusOr<std::vector<v1::Verdict>> ScoreHere(Context& context, const Flags& flags,
                                                   const Registry& registry,
                                                   const v1::RewardSpec& spec,
                                                   const std::vector<FileCompletion>& completions) {
  HONE_ASSIGN_OR_RETURN(RewardFunction made, RewardFunction::Create(spec, registry));
  const auto function = std::make_shared<const RewardFunction>(std::move(made));
  Judge::Options options;
  options.threads = flags.threads > 0
                        ? flags.threads
                        : std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  // Few wait for a thread, as an item's time begins with its arrival.
  const int running = function->blocks() ? options.blocking_threads : 32 * options.threads;
  std::vector<v1::Verdict> verdicts(completions.size());
  OpenItems open(static_cast<size_t>(2 * running),
                 ShowProgress(context.output, completions.size()));
  Judge judge(options);
  const auto lane = judge.NewLane();
  for (size_t i = 0; i < completions.size(); ++i)
    HONE_RETURN_IF_ERROR(
        judge.Submit(lane, function, completions[i].item, kNoDeadline, open.Expect(&verdicts[i])));
  open.Wait();
  return verdicts;
}

// At a reward service.
class Remote {
 public:
  static absl::StatusOr<Remote> Connect(const Context& context, const std::string& address) {
    rpc::ChannelOptions options;
    options.tls = context.tls;
    HONE_ASSIGN_OR_RETURN(const std::shared_ptr<grpc::Channel> channel,
                          rpc::MakeChannel(address, options));
    Remote remote;
    remote.address_ = address;
    remote.stub_ = v1::RewardService::NewStub(channel);
    return remote;
  }

  absl::StatusOr<v1::ListScorersResponse> List(const Context& context) const {
    return Once(context, &v1::RewardService::Stub::ListScorers, v1::ListScorersRequest());
  }

  absl::StatusOr<std::vector<v1::Verdict>> Score(Context& context, const v1::RewardSpec& spec,
                                                 const std::vector<FileCompletion>& completions) {
    // Asked without items, it says what is wrong with the specification.
    v1::ScoreBatchRequest check;
    *check.mutable_reward() = spec;
    HONE_RETURN_IF_ERROR(Once(context, &v1::RewardService::Stub::ScoreBatch, check).status());
    HONE_ASSIGN_OR_RETURN(const auto client, RewardClient::Create(address_, context.tls));
    constexpr size_t kMostOpen = 4096;
    std::vector<v1::Verdict> verdicts(completions.size());
    OpenItems open(kMostOpen, ShowProgress(context.output, completions.size()));
    for (size_t i = 0; i < completions.size(); ++i)
      client->Score(spec, completions[i].item, open.Expect(&verdicts[i]));
    open.Wait();
    return verdicts;
  }

 private:
  template <typename Request, typename Response>
  absl::StatusOr<Response> Once(const Context& context,
                                grpc::Status (v1::RewardService::Stub::*method)(
                                    grpc::ClientContext*, const Request&, Response*),
                                const Request& request) const {
    grpc::ClientContext call;
    rpc::PrepareCall(call, context.timeout);
    Response response;
    const grpc::Status status = (stub_.get()->*method)(&call, request, &response);
    if (!status.ok()) return rpc::FromCall(status, absl::StrCat("reward service at ", address_));
    return response;
  }

  std::string address_;
  std::unique_ptr<v1::RewardService::Stub> stub_;
};

absl::StatusOr<int> Score(Context& context, const Flags& flags) {
  std::unique_ptr<Scorers> here;
  std::unique_ptr<Remote> remote;
  v1::ListScorersResponse known;
  if (flags.address.empty()) {
    HONE_ASSIGN_OR_RETURN(here, Scorers::Create(flags.reward.resources));
    known = here->registry().Describe();
  } else {
    HONE_ASSIGN_OR_RETURN(Remote connected, Remote::Connect(context, flags.address));
    remote = std::make_unique<Remote>(std::move(connected));
    HONE_ASSIGN_OR_RETURN(known, remote->List(context));
  }
  if (flags.list) {
    if (context.output.machine())
      context.output.Messages(known, known.scorers());
    else
      PrintScorers(context.output, known);
    return kExitOk;
  }
  if (flags.file.empty())
    return absl::InvalidArgumentError("expected a file of completions, or --list");
  HONE_ASSIGN_OR_RETURN(v1::RewardSpec spec, ReadReward(flags.reward, known));
  if (flags.item_timeout > 0) spec.set_timeout_seconds(flags.item_timeout);
  HONE_ASSIGN_OR_RETURN(std::vector<FileCompletion> completions,
                        ReadCompletions(flags.file, flags.fields, flags.prompts));
  if (flags.limit > 0 && completions.size() > static_cast<size_t>(flags.limit))
    completions.resize(static_cast<size_t>(flags.limit));

  const TimePoint start = SystemClock::Get().Now();
  HONE_ASSIGN_OR_RETURN(const std::vector<v1::Verdict> verdicts,
                        remote == nullptr
                            ? ScoreHere(context, flags, here->registry(), spec, completions)
                            : remote->Score(context, spec, completions));
  const double seconds = std::chrono::duration<double>(SystemClock::Get().Now() - start).count();
  const v1::ScoreReport report = MakeReport(completions, verdicts, flags.report);
  if (context.output.machine())
    context.output.Messages(report, report.completions());
  else
    PrintReport(context.output, report);
  context.output.Note(absl::StrCat(
      Grouped(report.total()), " completions in ", Elapsed(seconds), ", ",
      Grouped(static_cast<int64_t>(static_cast<double>(report.total()) / std::max(seconds, 1e-9))),
      " per second"));
  return kExitOk;
}

}  // namespace

void AddScoreCommand(CLI::App& app, Context& context) {
  const auto flags = std::make_shared<Flags>();
  CLI::App* command = AddCommand(app, context, "score", "score completions of a file, with reasons",
                                 [flags](Context& c) { return Score(c, *flags); });
  command->add_option("file", flags->file,
                      "JSON lines, each a prompt with a completion or a list of them; -: stdin");
  AddRewardOptions(*command, flags->reward);
  command->add_flag("--list", flags->list, "instead: which scorers there are, with their options");
  command->add_option("--address", flags->address,
                      "a reward service, host:port; without it this process scores");
  command->add_option("--prompts", flags->prompts,
                      "prompt file with the answers, if the lines only have the ids");
  command->add_option("--field", flags->fields.completion,
                      "where the completion is (default: completion, completions or response)");
  command->add_option("--answer-field", flags->fields.prompt.answer)->capture_default_str();
  command->add_option("--prompt-field", flags->fields.prompt.prompt)->capture_default_str();
  command->add_option("--id-field", flags->fields.prompt.id)->capture_default_str();
  command->add_option("--label", flags->fields.label,
                      "field that says right or wrong, to compare the verdicts with");
  command->add_flag("--only-failures", flags->report.only_failures,
                    "list what is not correct or, with --label, what disagrees");
  command->add_flag("--summary", flags->report.summary, "list no completions");
  command->add_option("--limit", flags->limit, "only the first so many completions; 0: all")
      ->check(CLI::NonNegativeNumber);
  command->add_option("--item-timeout", flags->item_timeout, "seconds that a completion may take")
      ->check(CLI::Range(0.0, RewardFunction::kMaxTimeout));
  command->add_option("--threads", flags->threads, "0: one per core")->check(CLI::Range(0, 1024));
}

void AddRewardOptions(CLI::App& command, RewardFlags& flags) {
  command
      .add_option("--scorer", flags.scorers,
                  "name[:option=value,...], e.g. countdown:operators=+-; may be repeated")
      ->allow_extra_args(false);
  command.add_option("--reward-of", flags.run_file, "instead: the reward of this run file");
  command.add_option("--prompt-set", flags.prompt_set,
                     "of the run file: the reward of this prompt set");
  AddResourceOptions(command, flags.resources);
}

void AddResourceOptions(CLI::App& command, ScorerResources& resources) {
  command
      .add_option("--sandbox", resources.sandbox, "scorer code: the least isolation that will do")
      ->check(CLI::IsMember(SandboxChoices()))
      ->capture_default_str();
  command
      .add_option("--sandbox-slots", resources.sandbox_slots,
                  "programs at once; 0: twice the cores")
      ->check(CLI::Range(0, 4096));
  command.add_option("--verifiers", resources.verifiers,
                     "scorers that ask models or Lean: YAML file, see verifiers.proto");
}

}  // namespace hone::cli
