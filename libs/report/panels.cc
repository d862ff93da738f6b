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
  Part part = Part::kGrpo;
  const char* title = "";
  const char* explanation = "";
  std::vector<Metric> metrics;
  bool percent = false;
  bool smooth = false;
  bool stacked = false;
  bool allow_log = false;
  const char* all_zero = "";
};

struct Section {
  const char* title;
  std::vector<Panel> panels;
};

std::vector<Section> Sections() {
  const std::vector<Panel> learns = {
      {.title = "Reward",
       .explanation = "mean over the completions of a step",
       .metrics = {{"Mean", "reward_mean"}},
       .smooth = true},
      {.title = "Response length",
       .explanation = "tokens per completion",
       .metrics = {{"Mean", "response_length_mean"}, {"95th percentile", "response_length_p95"}},
       .smooth = true},
      {.part = Part::kAll,
       .title = "Entropy",
       .explanation = "of the policy's distribution, nats per token",
       .metrics = {{"Sampling", "rollout_entropy"}, {"Demonstrations", "entropy"}},
       .smooth = true},
      {.title = "Divergence from the reference",
       .explanation = "K3 estimator, nats per token",
       .metrics = {{"KL", "kl_to_reference"}}},
      {.title = "Groups without a signal",
       .explanation = "all completions got the same reward",
       .metrics = {{"All", "zero_variance_fraction"},
                   {"Solved", "zero_variance_high_fraction"},
                   {"Failed", "zero_variance_low_fraction"}},
       .percent = true,
       .smooth = true},
      {.title = "Cut off or unscored",
       .explanation = "part of the completions",
       .metrics = {{"Cut off", "truncated_ratio"}, {"Unscored", "unscored_ratio"}},
       .percent = true,
       .smooth = true,
       .all_zero = "None at any step"},
  };
  const std::vector<Panel> updates = {
      {.part = Part::kSft,
       .title = "Loss on given text",
       .explanation = "cross-entropy, nats per token",
       .metrics = {{"Loss", "loss"}},
       .smooth = true},
      {.title = "Clipped tokens",
       .explanation = "trained tokens outside the trust region",
       .metrics = {{"Falling", "clip_fraction_low"}, {"Rising", "clip_fraction_high"}},
       .percent = true,
       .smooth = true,
       .all_zero = "None at any step"},
      {.part = Part::kAll,
       .title = "Gradient norm",
       .explanation = "L2, before clipping",
       .metrics = {{"Norm", "grad_norm"}},
       .smooth = true,
       .allow_log = true},
      {.part = Part::kAll,
       .title = "Learning rate",
       .explanation = "after warm-up and decay",
       .metrics = {{"Rate", "learning_rate"}}},
      {.part = Part::kAll,
       .title = "Expert balance",
       .explanation = "load of the fullest expert over the mean, less one",
       .metrics = {{"Largest violation", "moe_max_violation"}},
       .smooth = true},
      {.title = "Sampler against learner",
       .explanation = "largest difference of a token's log-probability",
       .metrics = {{"Largest", "logprob_abs_diff_max"}},
       .all_zero = "0 at every step: bit-identical"},
  };
  const std::vector<Panel> time = {
      {.part = Part::kAll,
       .title = "Tokens per second",
       .explanation = "generated: completion tokens over the whole step",
       .metrics = {{"Trained", "train_tokens_per_second"},
                   {"Generated", "generated_tokens_per_second"}},
       .smooth = true},
      {.title = "Seconds of a step",
       .explanation = "stacked",
       .metrics = {{"Training", "train_seconds"},
                   {"Waiting", "wait_batch_seconds"},
                   {"Everything else", "other_seconds"}},
       .stacked = true},
      {.title = "Staleness",
       .explanation = "steps between the sampling weights and the update",
       .metrics = {{"Mean", "staleness_mean"}},
       .all_zero = "0 at every step: on-policy"},
  };
  return {
      {"What it learns", learns}, {"How it is updated", updates}, {"Where the time goes", time}};
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
  // In the run file's order, so that colours stay the same from run to run.
  std::vector<std::string> names;
  for (const v1::EvaluationSpec& e : data.run.spec().evaluations()) names.push_back(e.name());
  for (const v1::Evaluation& e : data.evaluations) names.push_back(e.name());
  std::map<std::string, std::vector<Point>> evaluations;
  for (const v1::Evaluation& e : data.evaluations)
    evaluations[e.name()].push_back({e.step(), e.pass_at_1()});
  int color = 2;
  for (const std::string& name : names) {
    const auto it = evaluations.find(name);
    if (it == evaluations.end()) continue;
    chart.curves.push_back({.label = absl::StrCat("Evaluation ", name),
                            .points = std::move(it->second),
                            .color = color,
                            .dots = true});
    evaluations.erase(it);
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
                  .stacked = p.stacked,
                  .allow_log = p.allow_log,
                  .all_zero = p.all_zero};
      const StepAxis axis = AxisOf(stages, p, data.steps);
      // The last step of the stage before is the axis' left end, but none of the stage's own.
      std::set<std::string> shown;
      for (const StepAxis::Segment& s : axis.segments()) shown.insert(s.stage.name);
      std::vector<v1::StepMetrics> steps;
      for (const v1::StepMetrics& m : data.steps)
        if (shown.contains(m.stage())) steps.push_back(m);
      int color = 1;
      for (const Metric& m : p.metrics)
        chart.curves.push_back({m.label, Collect(steps, m.name), color++, false, p.smooth});
      absl::StrAppend(&grid, add(chart, axis), "\n");
    }
    absl::StrAppend(&out.html, "<section><h2>", section.title, "</h2><div class=\"grid\">\n", grid,
                    "</div></section>\n");
  }
  absl::StrAppend(
      &out.html,
      "<p class=\"foot\">The horizontal axis is the run's global step. Stages stand side "
      "by side, each with its own scale, so that short ones stay readable; a panel shows "
      "the stages in which its metric was measured. Where a line is pale it is every step, and the "
      "bold one its running mean. Long curves are thinned with every "
      "stretch's least and largest value kept; stacked ones show means.</p>\n");
  out.json = absl::StrCat("[", out.json, "]");
  return out;
}

}  // namespace hone
