#include "libs/report/panels.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/report/chart.h"
#include "libs/report/text.h"

namespace hone {
namespace {

enum class Part { kAll, kSft, kGrpo };

struct Metric {
  const char* label;
  const char* name;
};

struct Panel {
  Part part;
  const char* title;
  const char* explanation;
  std::vector<Metric> metrics;
  bool percent = false;
  bool smooth = false;
  bool zero = true;
  bool stacked = false;
  bool allow_log = false;
};

struct Section {
  const char* title;
  std::vector<Panel> panels;
};

std::vector<Section> Sections() {
  return {
      {"What it learns",
       {
           {Part::kGrpo,
            "Reward",
            "mean over the completions of a step",
            {{"Mean", "reward_mean"}},
            false,
            true},
           {Part::kGrpo,
            "Response length",
            "tokens per completion",
            {{"Mean", "response_length_mean"}, {"95th percentile", "response_length_p95"}},
            false,
            true},
           {Part::kAll,
            "Entropy",
            "nats per token of the policy's distribution",
            {{"Sampling", "rollout_entropy"}, {"Demonstrations", "entropy"}},
            false,
            true},
           {Part::kGrpo,
            "Divergence from the reference",
            "nats per token, K3 estimator",
            {{"KL", "kl_to_reference"}}},
           {Part::kGrpo,
            "Groups without a signal",
            "all completions of a group got the same reward",
            {{"All", "zero_variance_fraction"},
             {"Solved", "zero_variance_high_fraction"},
             {"Failed", "zero_variance_low_fraction"}},
            true,
            true},
           {Part::kGrpo,
            "Cut off or unscored",
            "part of the completions",
            {{"Cut off", "truncated_ratio"}, {"Unscored", "unscored_ratio"}},
            true},
           {Part::kSft,
            "Loss on demonstrations",
            "cross-entropy in nats per token",
            {{"Loss", "loss"}},
            false,
            true},
       }},
      {"How it is updated",
       {
           {Part::kGrpo,
            "Clipped tokens",
            "part of the trained tokens outside the trust region",
            {{"Falling", "clip_fraction_low"}, {"Rising", "clip_fraction_high"}},
            true,
            true},
           {Part::kAll,
            "Gradient norm",
            "L2, before clipping",
            {{"Norm", "grad_norm"}},
            false,
            true,
            true,
            false,
            true},
           {Part::kAll, "Learning rate", "", {{"Rate", "learning_rate"}}},
           {Part::kGrpo,
            "Sampler against learner",
            "largest difference of a token's log-probability",
            {{"Largest", "logprob_abs_diff_max"}}},
           {Part::kAll,
            "Expert balance",
            "load of the fullest expert over the mean, less one",
            {{"Largest violation", "moe_max_violation"}},
            false,
            true},
           {Part::kGrpo,
            "Staleness",
            "steps between the sampling weights and the update",
            {{"Mean", "staleness_mean"}}},
       }},
      {"Where the time goes",
       {
           {Part::kAll,
            "Tokens per second",
            "generated: completion tokens over the whole step",
            {{"Trained", "train_tokens_per_second"}, {"Generated", "generated_tokens_per_second"}},
            false,
            true},
           {Part::kGrpo,
            "Seconds of a step",
            "stacked",
            {{"Training", "train_seconds"},
             {"Waiting for the batch", "wait_batch_seconds"},
             {"Everything else", "other_seconds"}},
            false,
            false,
            true,
            true},
           {Part::kAll,
            "Tokens of an update",
            "",
            {{"Trained", "batch_tokens"}, {"Completions", "completion_tokens"}},
            false,
            true},
       }},
  };
}

// The axis of the stages that a panel is about.
StepAxis AxisOf(const std::vector<Stage>& stages, const Panel& panel,
                const std::vector<v1::StepMetrics>& steps) {
  // A stage without one value of the panel would only be an empty stretch.
  std::set<std::string> measured;
  for (const v1::StepMetrics& m : steps)
    for (const Metric& metric : panel.metrics) {
      double value = 0;
      if (ValueOf(m, metric.name, value)) measured.insert(m.stage());
    }
  std::vector<Stage> kept;
  for (const Stage& s : stages)
    if (measured.contains(s.name) &&
        (panel.part == Part::kAll || (panel.part == Part::kGrpo) == s.grpo))
      kept.push_back(s);
  return StepAxis(std::move(kept));
}

// pass@1 on training prompts and of every evaluation: the lead picture.
Chart PassChart(const ReportData& data) {
  Chart chart{.title = "Solved at the first attempt",
              .explanation = "pass@1: mean part of correct completions",
              .percent = true,
              .tall = true};
  int color = 2;
  std::map<std::string, std::vector<Point>> evaluations;
  for (const v1::Evaluation& e : data.evaluations)
    evaluations[e.name()].push_back({e.step(), e.pass_at_1()});
  for (auto& [name, points] : evaluations) {
    chart.curves.push_back({absl::StrCat("Evaluation ", name), points, color, true, false});
    color = color == 5 ? 2 : color + 1;
  }
  chart.curves.insert(chart.curves.begin(),
                      {"Training prompts", Collect(data.steps, "pass_at_1"), 1, false, true});
  return chart;
}

}  // namespace

Panels RenderPanels(const ReportData& data) {
  const std::vector<Stage> stages = StagesOf(data);
  Panels out;
  int index = 0;
  const auto add = [&](const Chart& chart, const StepAxis& axis) {
    RenderedChart r = RenderChart(chart, axis, index);
    std::string segments;
    for (const StepAxis::Segment& s : axis.segments())
      absl::StrAppend(&segments, segments.empty() ? "" : ",", "[", s.stage.from, ",", s.stage.to,
                      ",", s.left, ",", s.right, "]");
    absl::StrAppend(&out.json, index > 0 ? ",\n" : "", "{\"a\":[", segments, "],\"c\":", r.json,
                    "}");
    ++index;
    return r.html;
  };

  std::vector<Stage> lead;
  for (const Stage& s : stages)
    if (s.grpo) lead.push_back(s);
  absl::StrAppend(&out.html, "<section>",
                  add(PassChart(data), StepAxis(lead.empty() ? stages : lead)), "</section>\n");

  for (const Section& section : Sections()) {
    std::string grid;
    for (const Panel& p : section.panels) {
      const bool any_grpo = !lead.empty(), any_sft = lead.size() < stages.size();
      if ((p.part == Part::kGrpo && !any_grpo && any_sft) || (p.part == Part::kSft && !any_sft))
        continue;  // the run has no such stage
      Chart chart{.title = p.title,
                  .explanation = p.explanation,
                  .percent = p.percent,
                  .zero = p.zero,
                  .stacked = p.stacked,
                  .allow_log = p.allow_log};
      int color = 1;
      for (const Metric& m : p.metrics)
        chart.curves.push_back({m.label, Collect(data.steps, m.name), color++, false, p.smooth});
      absl::StrAppend(&grid, add(chart, AxisOf(stages, p, data.steps)), "\n");
    }
    absl::StrAppend(&out.html, "<section><h2>", section.title, "</h2><div class=\"grid\">\n", grid,
                    "</div></section>\n");
  }
  absl::StrAppend(
      &out.html,
      "<p class=\"foot\">The horizontal axis is the run's global step. Stages stand side "
      "by side, each with its own scale, so that short ones stay readable; a panel shows "
      "the stages in which its metric was measured. Long curves are thinned with every "
      "stretch's least and largest value kept; stacked ones show means.</p>\n");
  out.json = absl::StrCat("[", out.json, "]");
  return out;
}

}  // namespace hone
