#include "libs/report/figures.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "libs/report/series.h"
#include "libs/report/text.h"

namespace hone {
namespace {

absl::string_view StateName(v1::RunState state) {
  switch (state) {
    case v1::RUN_STATE_PENDING:
      return "pending";
    case v1::RUN_STATE_RUNNING:
      return "running";
    case v1::RUN_STATE_PAUSED:
      return "paused";
    case v1::RUN_STATE_SUCCEEDED:
      return "succeeded";
    case v1::RUN_STATE_FAILED:
      return "failed";
    case v1::RUN_STATE_CANCELLED:
      return "cancelled";
    default:
      return "unknown";
  }
}

bool Ended(v1::RunState state) {
  return state == v1::RUN_STATE_SUCCEEDED || state == v1::RUN_STATE_FAILED ||
         state == v1::RUN_STATE_CANCELLED;
}

std::string Day(const google::protobuf::Timestamp& t) {
  if (t.seconds() <= 0) return "";
  return absl::FormatTime("%Y-%m-%d %H:%M UTC", absl::FromUnixSeconds(t.seconds()),
                          absl::UTCTimeZone());
}

std::string Duration(const ReportData& data) {
  const int64_t begin = data.run.create_time().seconds();
  const bool ended = data.run.end_time().seconds() > 0;
  int64_t end = data.run.end_time().seconds();
  if (!ended)
    for (const v1::StepMetrics& m : data.steps) end = std::max(end, m.time().seconds());
  if (begin <= 0 || end < begin) return "";
  return absl::StrCat(FormatSeconds(static_cast<double>(end - begin)), ended ? "" : " so far");
}

std::string Fact(absl::string_view name, absl::string_view value) {
  if (value.empty()) return "";
  return absl::StrCat("<div><dt>", name, "</dt><dd>", EscapeHtml(value), "</dd></div>");
}

std::string LastPart(absl::string_view path) {
  while (!path.empty() && path.back() == '/') path.remove_suffix(1);
  const size_t slash = path.rfind('/');
  return std::string(slash == absl::string_view::npos ? path : path.substr(slash + 1));
}

// `value` is text, `detail` is text; `tone` is "", "good" or "bad".
std::string Figure(absl::string_view label, const std::string& value, const std::string& detail,
                   absl::string_view tone = "") {
  return absl::StrCat("<div class=\"figure ", tone, "\"><dt>", EscapeHtml(label), "</dt><dd>",
                      EscapeHtml(value), "</dd><dd class=\"detail\">", EscapeHtml(detail),
                      "</dd></div>\n");
}

double Sum(const std::vector<v1::StepMetrics>& steps, absl::string_view name, bool& any) {
  double sum = 0;
  for (const Point& p : Collect(steps, name)) {
    if (!std::isfinite(p.value)) continue;
    sum += p.value;
    any = true;
  }
  return sum;
}

std::string Rate(const std::vector<v1::StepMetrics>& steps, absl::string_view tokens,
                 absl::string_view seconds, bool generated) {
  double n = 0, s = 0;
  for (const v1::StepMetrics& m : steps) {
    if (generated && !m.values().contains("reward_mean")) continue;
    double a = 0, b = 0;
    if (!ValueOf(m, tokens, a) || !ValueOf(m, seconds, b) || !std::isfinite(a) || !(b > 0))
      continue;
    n += a;
    s += b;
  }
  return s > 0 ? FormatNumber(n / s) : "n/a";
}

// The largest standard error that independent prompts allow, whatever was sampled per prompt.
std::string Uncertainty(const v1::Evaluation& e) {
  if (e.prompts_done() <= 0 || !std::isfinite(e.pass_at_1())) return "";
  const double p = std::clamp(e.pass_at_1(), 0.0, 1.0);
  return absl::StrFormat("±%.1f", 100 * std::sqrt(p * (1 - p) / e.prompts_done()));
}

std::string PassFigures(const ReportData& data) {
  std::map<std::string, std::vector<const v1::Evaluation*>> by_name;
  for (const v1::Evaluation& e : data.evaluations) by_name[e.name()].push_back(&e);
  std::vector<std::string> names;
  for (const v1::EvaluationSpec& e : data.run.spec().evaluations()) names.push_back(e.name());
  for (const v1::Evaluation& e : data.evaluations) names.push_back(e.name());
  std::string html;
  for (const std::string& name : names) {
    const auto it = by_name.find(name);
    if (it == by_name.end()) continue;
    const std::vector<const v1::Evaluation*> all = std::move(it->second);
    by_name.erase(it);
    const v1::Evaluation &first = *all.front(), &last = *all.back();
    const bool one = all.size() == 1;
    const double gain = 100 * (last.pass_at_1() - first.pass_at_1());
    std::string detail = absl::StrCat("step ", FormatCount(last.step()));
    if (!one) {
      detail = absl::StrCat("step ", FormatCount(first.step()), " to ", FormatCount(last.step()));
      if (std::isfinite(gain))
        detail = absl::StrCat(gain < 0 ? "−" : "+", absl::StrFormat("%.1f", std::abs(gain)),
                              " points, ", detail);
    }
    html +=
        Figure(absl::StrCat("pass@1, ", name),
               one ? FormatPercent(last.pass_at_1())
                   : absl::StrCat(FormatPercent(first.pass_at_1()), " → ",
                                  FormatPercent(last.pass_at_1())),
               absl::StrCat(detail, " · ", FormatCount(last.prompts_done()), " prompts"), "lead");
  }
  return html;
}

std::string Parity(const ReportData& data) {
  double largest = 0;
  int64_t steps = 0, bad = 0;
  for (const Point& p : Collect(data.steps, "logprob_abs_diff_max")) {
    ++steps;
    if (!std::isfinite(p.value))
      ++bad;
    else
      largest = std::max(largest, p.value);
  }
  if (steps == 0)
    return Figure("Sampler = learner", "not measured", "largest log-probability difference");
  if (bad > 0)
    return Figure("Sampler = learner", "not a number",
                  absl::StrCat("at ", FormatCount(bad), " steps"), "bad");
  if (largest == 0)
    return Figure(
        "Sampler = learner", "0",
        absl::StrCat("bit-identical log-probabilities on all ", FormatCount(steps), " steps"),
        "good");
  return Figure("Sampler ≠ learner", FormatNumber(largest),
                "largest log-probability difference; 0 would be bit-identical", "bad");
}

int64_t Count(const ReportData& data, std::initializer_list<const char*> states) {
  int64_t n = 0;
  for (const char* s : states)
    if (const auto it = data.issues.find(s); it != data.issues.end()) n += it->second;
  return n;
}

std::string Prompts(const ReportData& data) {
  bool any = false, any_dropped = false;
  const double groups = Sum(data.steps, "groups", any);
  const double skipped = Sum(data.steps, "groups_dropped", any_dropped);
  const std::string silent =
      any_dropped ? absl::StrCat(FormatCount(std::llround(skipped)), " without a signal") : "";
  if (data.issues.empty()) {
    if (!any) return Figure("Prompt groups", "not measured", "trained, dropped, lost");
    return Figure("Prompt groups pulled", FormatCount(std::llround(groups)), silent);
  }
  const int64_t trained = Count(data, {"trained", "covered"}), dropped = Count(data, {"dropped"});
  const int64_t open = Count(data, {"ready", "leased", "committed", "assigned"});
  // After the end every prompt must be trained on or dropped with a reason.
  const bool lost = data.run.state() == v1::RUN_STATE_SUCCEEDED && open > 0;
  return Figure(
      "Prompts trained", FormatCount(trained),
      absl::StrCat(FormatCount(dropped), " dropped · ",
                   Ended(data.run.state()) ? absl::StrCat(FormatCount(open), " lost")
                                           : absl::StrCat(FormatCount(open), " on their way"),
                   silent.empty() ? "" : " · ", silent),
      lost ? "bad" : "");
}

std::string Checkpoints(const ReportData& data) {
  const v1::CheckpointSpec& spec = data.run.spec().checkpoint();
  const int64_t step = data.run.checkpoint_step();
  std::string detail = spec.every_steps() > 0
                           ? absl::StrCat("every ", FormatCount(spec.every_steps()), " steps")
                           : "at the ends of stages";
  if (step < 0) return Figure("Newest checkpoint", "none", detail);
  if (!data.run.checkpoint_path().empty())
    absl::StrAppend(&detail, " · ", LastPart(data.run.checkpoint_path()));
  return Figure("Newest checkpoint", absl::StrCat("step ", FormatCount(step)), detail);
}

}  // namespace

std::string RenderMasthead(const ReportData& data) {
  const v1::Run& run = data.run;
  const v1::ModelSpec& model = run.spec().model();
  std::string stages;
  for (const v1::StageSpec& s : run.spec().stages()) {
    const int64_t steps = s.has_grpo()       ? s.grpo().steps()
                          : s.has_pretrain() ? s.pretrain().steps()
                                             : s.sft().steps();
    absl::StrAppend(&stages, stages.empty() ? "" : " → ", s.name(), " (",
                    s.has_grpo()       ? "GRPO"
                    : s.has_pretrain() ? "pre-training"
                                       : "supervised", ", ", FormatCount(steps), " steps)");
  }
  std::string size = data.model.empty() ? LastPart(model.path()) : data.model;
  if (!size.empty())
    absl::StrAppend(&size, model.precision() == v1::PRECISION_BF16 ? ", bf16" : ", fp32");
  const std::string name = run.spec().name().empty() ? run.id() : run.spec().name();
  const absl::string_view state = StateName(run.state());
  std::string html =
      absl::StrCat("<header><p class=\"kicker\">Run report</p><h1>", EscapeHtml(name),
                   " <span class=\"state ", state, "\">", state, "</span></h1>\n");
  if (!run.message().empty())
    absl::StrAppend(&html, "<p class=\"message\">", EscapeHtml(run.message()), "</p>\n");
  absl::StrAppend(&html, "<dl class=\"facts\">", Fact("Stages", stages), Fact("Model", size),
                  Fact("Duration", Duration(data)), Fact("Started", Day(run.create_time())),
                  Fact("Machine", data.machine),
                  Fact("Seed", FormatCount(static_cast<int64_t>(run.spec().seed()))),
                  run.id() != name ? Fact("Run", run.id()) : "", "</dl></header>\n");
  return html;
}

std::string RenderKeyFigures(const ReportData& data) {
  std::vector<double> seconds;
  bool any_grpo = false;
  for (const v1::StepMetrics& m : data.steps) any_grpo |= m.values().contains("reward_mean");
  for (const v1::StepMetrics& m : data.steps) {
    double s = 0;
    if ((!any_grpo || m.values().contains("reward_mean")) && ValueOf(m, "step_seconds", s))
      seconds.push_back(s);
  }
  return absl::StrCat(
      "<dl class=\"figures\">\n", PassFigures(data), Parity(data), Prompts(data),
      Figure("Tokens per second, generated",
             Rate(data.steps, "completion_tokens", "step_seconds", true),
             "completion tokens over GRPO steps as a whole"),
      Figure("Tokens per second, trained", Rate(data.steps, "batch_tokens", "train_seconds", false),
             "tokens over the time of updates"),
      Figure("Time of a step", FormatSeconds(Median(seconds)),
             absl::StrCat("median of ", FormatCount(static_cast<int64_t>(seconds.size())),
                          any_grpo ? " GRPO steps" : " steps")),
      Checkpoints(data), "</dl>\n");
}

std::string RenderEvaluations(const ReportData& data) {
  if (data.evaluations.empty()) return "";
  std::string html =
      "<section><h2>Evaluations</h2><div class=\"scroll\"><table><thead><tr><th "
      "class=\"t\">Evaluation</th>"
      "<th>Step</th><th>Prompts</th><th>Samples</th><th>pass@1</th><th>± s.e.</th><th>pass@k</th>"
      "<th>Majority</th><th>Reward</th><th>Tokens</th><th>Well formed</th><th>Cut off</th>"
      "<th>Unscored</th></tr></thead><tbody>\n";
  for (const v1::Evaluation& e : data.evaluations) {
    const bool partial = e.prompts_done() < e.prompts();
    absl::StrAppend(&html, "<tr><td class=\"t\">", EscapeHtml(e.name()), "</td><td>",
                    FormatCount(e.step()), "</td><td>", FormatCount(e.prompts_done()),
                    partial ? absl::StrCat(" of ", FormatCount(e.prompts())) : "", "</td><td>",
                    FormatCount(e.samples()), "</td><td><b>", FormatPercent(e.pass_at_1()),
                    "</b></td><td>", Uncertainty(e), "</td><td>", FormatPercent(e.pass_at_k()),
                    "</td>");
    absl::StrAppend(&html, "<td>", FormatPercent(e.majority_at_k()), "</td><td>",
                    FormatNumber(e.mean_reward()), "</td><td>", FormatNumber(e.mean_tokens()),
                    "</td><td>", FormatPercent(e.format_rate()), "</td><td>",
                    FormatPercent(e.truncated_rate()), "</td><td>", FormatCount(e.unscored()),
                    "</td></tr>\n");
    if (!e.note().empty())
      absl::StrAppend(&html, "<tr class=\"note\"><td colspan=\"13\">", EscapeHtml(e.note()),
                      "</td></tr>\n");
  }
  return absl::StrCat(html,
                      "</tbody></table></div><p class=\"foot\">k is the number of samples. The "
                      "standard error, in points, is the largest that independent prompts "
                      "allow: √(p(1−p) / prompts).</p></section>\n");
}

}  // namespace hone
