// hone report: a run as one HTML page.

#include "libs/report/report.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "libs/base/file.h"
#include "libs/base/status.h"
#include "libs/model/load.h"
#include "services/cli/cli.h"
#include "services/cli/context.h"
#include "services/cli/http.h"
#include "services/cli/up/plan.h"

namespace hone::cli {
namespace {

struct Flags {
  std::string run, file = "report.html", notes;
  std::vector<std::string> metrics;
};

// Groups of completions on a page; more is not read by anybody.
constexpr int kMostGroups = 6;

absl::Status ReadSteps(const Context& context, const Coordinator& c, ReportData* data) {
  v1::ListStepMetricsRequest request;
  request.set_run_id(data->run.id());
  request.set_page_size(1000);
  do {
    HONE_ASSIGN_OR_RETURN(v1::ListStepMetricsResponse page,
                          Call(context, c, *c.runs, &RunStub::ListStepMetrics, request));
    for (v1::StepMetrics& s : *page.mutable_steps()) data->steps.push_back(std::move(s));
    request.set_after_step(page.next_after_step());
  } while (request.after_step() != 0);
  return absl::OkStatus();
}

absl::Status CountIssues(const Context& context, const Coordinator& c, ReportData* data) {
  v1::ListIssuesRequest request;
  request.set_run_id(data->run.id());
  request.set_page_size(1000);
  do {
    HONE_ASSIGN_OR_RETURN(const v1::ListIssuesResponse page,
                          Call(context, c, *c.runs, &RunStub::ListIssues, request));
    for (const v1::Issue& i : page.issues())
      ++data->issues[EnumName(v1::IssueState_descriptor(), i.state())];
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  return absl::OkStatus();
}

absl::StatusOr<std::vector<v1::Group>> ReadGroups(const Context& context, const Coordinator& c,
                                                  const std::string& run,
                                                  const std::string& evaluation, int64_t step,
                                                  const std::string& prompt, int most) {
  v1::ListGroupsRequest request;
  request.set_run_id(run);
  request.set_evaluation(evaluation);
  request.set_step(step);
  request.set_prompt_id(prompt);
  request.set_page_size(most);
  HONE_ASSIGN_OR_RETURN(v1::ListGroupsResponse page,
                        Call(context, c, *c.runs, &RunStub::ListGroups, request));
  return std::vector<v1::Group>(page.groups().begin(), page.groups().end());
}

// The same prompts before and after: those of the evaluation that was made most often; without one,
// the first and the last step with rollouts.
absl::Status ReadSamples(const Context& context, const Coordinator& c, ReportData* data) {
  const std::string& run = data->run.id();
  std::map<std::string, std::vector<int64_t>> steps_of;
  for (const v1::Evaluation& e : data->evaluations)
    if (e.done() && e.moved_to() == 0 && e.prompts_done() > 0)
      steps_of[e.name()].push_back(e.step());
  const std::vector<int64_t>* steps = nullptr;
  std::string name;
  for (auto& [n, s] : steps_of) {
    std::sort(s.begin(), s.end());
    if (s.size() > 1 && (steps == nullptr || s.size() > steps->size())) {
      name = n;
      steps = &s;
    }
  }
  if (steps != nullptr) {
    HONE_ASSIGN_OR_RETURN(data->last_groups,
                          ReadGroups(context, c, run, name, steps->back(), "", kMostGroups));
    for (const v1::Group& g : data->last_groups) {
      HONE_ASSIGN_OR_RETURN(std::vector<v1::Group> before,
                            ReadGroups(context, c, run, name, steps->front(), g.prompt_id(), 1));
      for (v1::Group& b : before) data->first_groups.push_back(std::move(b));
    }
    return absl::OkStatus();
  }
  std::optional<int64_t> first, last;
  for (const v1::StepMetrics& s : data->steps) {
    if (!s.values().contains("reward_mean")) continue;
    first = std::min(first.value_or(s.step()), s.step());
    last = std::max(last.value_or(s.step()), s.step());
  }
  if (!first.has_value()) return absl::OkStatus();
  HONE_ASSIGN_OR_RETURN(data->first_groups,
                        ReadGroups(context, c, run, "", *first, "", kMostGroups));
  HONE_ASSIGN_OR_RETURN(data->last_groups, ReadGroups(context, c, run, "", *last, "", kMostGroups));
  return absl::OkStatus();
}

// Adds the ledger in a service's metrics: lines such as
// hone_<role>_ledger_seconds_total{state="train"} 7.28
void ReadLedger(const std::string& metrics, int index, ReportData* data) {
  for (absl::string_view line : absl::StrSplit(metrics, '\n')) {
    constexpr absl::string_view kMiddle = "_ledger_seconds_total{state=\"";
    const size_t middle = line.find(kMiddle);
    if (!absl::ConsumePrefix(&line, "hone_") || middle == absl::string_view::npos) continue;
    const absl::string_view role = line.substr(0, middle - 5);
    const absl::string_view rest = line.substr(middle - 5 + kMiddle.size());
    const size_t quote = rest.find("\"} ");
    double seconds = 0;
    if (quote == absl::string_view::npos || !absl::SimpleAtod(rest.substr(quote + 3), &seconds))
      continue;
    const std::string process = role == "learner" ? "learner" : absl::StrCat(role, "-", index);
    data->ledgers[process][std::string(rest.substr(0, quote))] = seconds;
  }
}

// Where `hone up` puts the metrics of rollout workers and learner that belong to this coordinator.
std::vector<std::string> LocalMetrics(const std::string& coordinator) {
  constexpr int kMostServices = 12;
  int port = 0;
  const std::pair<std::string, std::string> parts = absl::StrSplit(coordinator, ':');
  if ((parts.first != "127.0.0.1" && parts.first != "localhost") ||
      !absl::SimpleAtoi(parts.second, &port))
    return {};
  std::vector<std::string> addresses;
  for (int i = 1; i < kMostServices; ++i)
    addresses.push_back(absl::StrCat("127.0.0.1:", AdminPortOf(port) + i));
  return addresses;
}

std::string DescribeMachine() {
  std::string cpu = "unknown processor";
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);)
    if (line.rfind("model name", 0) == 0) {
      cpu = std::string(absl::StripAsciiWhitespace(line.substr(line.find(':') + 1)));
      break;
    }
  int64_t kib = 0;
  std::ifstream memory("/proc/meminfo");
  for (std::string word; memory >> word;)
    if (word == "MemTotal:") {
      memory >> kib;
      break;
    }
  return absl::StrCat(std::thread::hardware_concurrency(), " x ", cpu, ", ",
                      (kib + (1 << 19)) >> 20, " GiB");
}

std::string DescribeModel(const std::string& folder) {
  const absl::StatusOr<ModelConfig> config = LoadModelConfig(folder);
  if (!config.ok()) return "";  // it may be on another machine
  const int64_t size = ParameterLayout(*config).size();
  std::string text = absl::StrCat(Grouped(size), " parameters");
  if (config->moe.experts > 0)
    absl::StrAppend(&text, ", ", config->moe.experts, " experts, ", config->moe.experts_per_token,
                    " per token");
  return text;
}

absl::StatusOr<int> Report(Context& context, const Flags& flags) {
  HONE_ASSIGN_OR_RETURN(const Coordinator c, context.Connect());
  ReportData data;
  v1::GetRunRequest get;
  get.set_run_id(flags.run);
  HONE_ASSIGN_OR_RETURN(v1::GetRunResponse got, Call(context, c, *c.runs, &RunStub::GetRun, get));
  data.run = std::move(*got.mutable_run());
  v1::ListEvaluationsRequest list;
  list.set_run_id(flags.run);
  HONE_ASSIGN_OR_RETURN(const v1::ListEvaluationsResponse evaluations,
                        Call(context, c, *c.runs, &RunStub::ListEvaluations, list));
  data.evaluations.assign(evaluations.evaluations().begin(), evaluations.evaluations().end());
  HONE_RETURN_IF_ERROR(ReadSteps(context, c, &data));
  HONE_RETURN_IF_ERROR(ReadSamples(context, c, &data));
  HONE_RETURN_IF_ERROR(CountIssues(context, c, &data));
  const std::vector<std::string> local = LocalMetrics(context.coordinator);
  int workers = 0;
  for (const std::string& address : flags.metrics.empty() ? local : flags.metrics) {
    const absl::StatusOr<http::Response> answer = HttpGet(address, "/metrics", std::chrono::seconds(2));
    if (answer.ok() && answer->code == 200) {
      ReadLedger(answer->body, workers, &data);
      workers += answer->body.find("\nhone_rollout_") != std::string::npos ? 1 : 0;
    } else if (!flags.metrics.empty()) {
      return answer.ok() ? absl::UnavailableError(
                               absl::StrCat("http://", address, "/metrics: code ", answer->code))
                         : answer.status();
    }
  }
  if (!local.empty()) data.machine = DescribeMachine();
  data.model = DescribeModel(data.run.spec().model().path());
  data.notes = flags.notes;
  HONE_RETURN_IF_ERROR(MakeDirectories(DirectoryOf(flags.file)));
  HONE_RETURN_IF_ERROR(WriteFileAtomically(flags.file, RenderReport(data)));
  context.output.Line(flags.file);
  return kExitOk;
}

}  // namespace

void AddReportCommand(CLI::App& app, Context& context) {
  const auto flags = std::make_shared<Flags>();
  CLI::App* command = AddCommand(app, context, "report", "write a run as one HTML page",
                                 [flags](Context& c) { return Report(c, *flags); });
  command->add_option("run", flags->run, "id of the run")->required();
  command->add_option("-o,--output", flags->file, "the page")->capture_default_str();
  command
      ->add_option("--metrics", flags->metrics,
                   "IPv4:port of the metrics of a learner or worker, for the time accounts; may be "
                   "repeated; default: those of `hone up` on this machine")
      ->allow_extra_args(false);
  command->add_option("--notes", flags->notes, "a text for the reader of the page");
}

}  // namespace hone::cli
