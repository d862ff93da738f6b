#include "services/cli/score_report.h"

#include <algorithm>
#include <map>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "libs/reward/scorer.h"

namespace hone::cli {
namespace {

using Report = v1::ScoreReport;

double Ratio(double part, int64_t of) {
  return of > 0 ? part / static_cast<double>(of) : 0;
}

std::string Share(int64_t part, int64_t of) {
  return absl::StrFormat("%s (%.4g %%)", Grouped(part), 100 * Ratio(static_cast<double>(part), of));
}

// Time per completion.
std::string Each(double seconds) {
  if (seconds < 1e-3) return absl::StrFormat("%.1f us", seconds * 1e6);
  if (seconds < 1) return absl::StrFormat("%.1f ms", seconds * 1e3);
  return absl::StrFormat("%.2f s", seconds);
}

std::string Name(v1::Outcome outcome) {
  return EnumName(v1::Outcome_descriptor(), outcome);
}

// On one line, short enough to be read in a table.
std::string OneLine(absl::string_view text) {
  constexpr size_t kLongest = 160;
  std::string line = Printable(text.substr(0, kLongest));
  std::replace(line.begin(), line.end(), '\n', ' ');
  return text.size() > kLongest ? line + "..." : line;
}

void AddCounts(const std::map<v1::Outcome, int64_t>& counts,
               google::protobuf::RepeatedPtrField<Report::OutcomeCount>* out) {
  for (const auto& [outcome, n] : counts) {
    Report::OutcomeCount& count = *out->Add();
    count.set_outcome(outcome);
    count.set_completions(n);
  }
}

}  // namespace

v1::Outcome ShownOutcome(const v1::Verdict& verdict) {
  return verdict.outcome() == v1::OUTCOME_SCORED && verdict.parts_size() > 0
             ? verdict.parts(0).outcome()
             : verdict.outcome();
}

Report MakeReport(const std::vector<FileCompletion>& completions,
                  const std::vector<v1::Verdict>& verdicts, const ReportOptions& options) {
  Report report;
  std::map<v1::Outcome, int64_t> outcomes;
  std::vector<std::map<v1::Outcome, int64_t>> by_scorer;
  double score = 0;
  for (size_t i = 0; i < completions.size(); ++i) {
    const FileCompletion& completion = completions[i];
    const v1::Verdict& verdict = verdicts[i];
    report.set_total(report.total() + 1);
    ++outcomes[ShownOutcome(verdict)];
    const bool scored = verdict.outcome() == v1::OUTCOME_SCORED;
    if (scored) {
      report.set_scored(report.scored() + 1);
      report.set_correct(report.correct() + verdict.correct());
      score += verdict.score();
    }
    const bool agrees = completion.label.has_value() && *completion.label == verdict.correct();
    if (completion.label.has_value()) {
      report.set_labelled(report.labelled() + 1);
      report.set_agreeing(report.agreeing() + agrees);
      report.set_false_accepts(report.false_accepts() + (verdict.correct() && !*completion.label));
    }
    for (int p = 0; p < verdict.parts_size(); ++p) {
      const v1::ScorePart& part = verdict.parts(p);
      if (p == report.scorers_size()) {
        report.add_scorers()->set_scorer(part.scorer());
        by_scorer.emplace_back();
      }
      Report::ScorerSummary& summary = *report.mutable_scorers(p);
      ++by_scorer[static_cast<size_t>(p)][part.outcome()];
      summary.set_seconds(summary.seconds() + part.seconds());
      if (!HasValue(part)) continue;
      summary.set_valued(summary.valued() + 1);
      summary.set_mean_value(summary.mean_value() + part.value());
    }
    const bool failed = completion.label.has_value() ? !agrees : !scored || !verdict.correct();
    if (options.summary || (options.only_failures && !failed)) continue;
    v1::ScoredCompletion& row = *report.add_completions();
    row.set_id(completion.item.prompt().id());
    row.set_line(completion.line);
    row.set_sample_index(completion.sample_index);
    *row.mutable_verdict() = verdict;
    if (completion.label.has_value()) row.set_label(*completion.label);
    row.set_agrees(agrees);
  }
  report.set_mean_score(Ratio(score, report.scored()));
  AddCounts(outcomes, report.mutable_outcomes());
  for (int p = 0; p < report.scorers_size(); ++p) {
    Report::ScorerSummary& summary = *report.mutable_scorers(p);
    summary.set_mean_value(Ratio(summary.mean_value(), summary.valued()));
    AddCounts(by_scorer[static_cast<size_t>(p)], summary.mutable_outcomes());
  }
  return report;
}

void PrintReport(Output& output, const Report& report) {
  const bool several = std::any_of(report.completions().begin(), report.completions().end(),
                                   [](const auto& c) { return c.sample_index() > 0; });
  const bool labelled = report.labelled() > 0;
  const bool parts = report.scorers_size() > 1;
  std::vector<std::string> header = {"LINE", "ID"};
  if (several) header.push_back("#");
  header.insert(header.end(), {"REWARD", "CORRECT"});
  if (labelled) header.push_back("LABEL");
  header.push_back("OUTCOME");
  if (parts)
    for (const Report::ScorerSummary& s : report.scorers())
      header.push_back(absl::AsciiStrToUpper(s.scorer()));
  header.push_back("WHY");
  Table table(header);
  for (const v1::ScoredCompletion& c : report.completions()) {
    const v1::Verdict& v = c.verdict();
    std::vector<std::string> row = {absl::StrCat(c.line()), OneLine(c.id())};
    if (several) row.push_back(absl::StrCat(c.sample_index()));
    row.push_back(v.outcome() == v1::OUTCOME_SCORED ? Number(v.score()) : "-");
    row.push_back(v.correct() ? "yes" : "no");
    if (labelled)
      row.push_back(
          !c.has_label() ? "-" : absl::StrCat(c.label() ? "yes" : "no", c.agrees() ? "" : " !"));
    row.push_back(Name(ShownOutcome(v)));
    std::string why;
    for (const v1::ScorePart& p : v.parts()) {
      if (parts) row.push_back(HasValue(p) ? Number(p.value()) : Name(p.outcome()));
      absl::StrAppend(&why, why.empty() ? "" : "; ", parts ? p.scorer() + ": " : "",
                      OneLine(p.reason()));
    }
    row.resize(header.size() - 1, "-");  // a verdict that never came has no parts
    row.push_back(why);
    table.Add(std::move(row));
  }
  if (!table.empty()) {
    table.Print(output);
    output.Line("");
  }

  std::set<v1::Outcome> seen;
  for (const Report::ScorerSummary& s : report.scorers())
    for (const Report::OutcomeCount& c : s.outcomes()) seen.insert(c.outcome());
  std::vector<std::string> columns = {"SCORER", "MEAN"};
  for (const v1::Outcome o : seen) columns.push_back(absl::AsciiStrToUpper(Name(o)));
  columns.push_back("TIME EACH");
  Table scorers(columns);
  for (const Report::ScorerSummary& s : report.scorers()) {
    std::vector<std::string> row = {s.scorer(), s.valued() > 0 ? Number(s.mean_value(), 4) : "-"};
    int64_t all = 0;
    for (const v1::Outcome o : seen) {
      int64_t n = 0;
      for (const Report::OutcomeCount& c : s.outcomes())
        if (c.outcome() == o) n = c.completions();
      all += n;
      row.push_back(Grouped(n));
    }
    row.push_back(Each(Ratio(s.seconds(), all)));
    scorers.Add(std::move(row));
  }
  if (!scorers.empty()) {
    scorers.Print(output);
    output.Line("");
  }
  std::string line = absl::StrCat(Grouped(report.total()), " completions, ",
                                  Share(report.scored(), report.total()), " with a score");
  if (report.scored() > 0)
    absl::StrAppend(&line, ", mean reward ", Number(report.mean_score(), 4), ", correct ",
                    Share(report.correct(), report.scored()));
  output.Line(line);
  std::vector<std::string> others;
  for (const Report::OutcomeCount& c : report.outcomes())
    if (c.outcome() != v1::OUTCOME_SCORED)
      others.push_back(absl::StrCat(Name(c.outcome()), " ", Grouped(c.completions())));
  if (!others.empty()) output.Line(absl::StrCat("of them: ", absl::StrJoin(others, ", ")));
  if (labelled)
    output.Line(
        absl::StrCat("labels: ", Share(report.agreeing(), report.labelled()), " agree, ",
                     Grouped(report.false_accepts()), " wrongly accepted, ",
                     Grouped(report.labelled() - report.agreeing() - report.false_accepts()),
                     " wrongly rejected"));
}

void PrintScorers(Output& output, const v1::ListScorersResponse& scorers) {
  bool first = true;
  for (const auto& s : scorers.scorers()) {
    if (!first) output.Line("");
    first = false;
    output.Line(absl::StrCat(s.name(), " (version ", s.version(), s.blocks() ? ", waits" : "",
                             "): ", s.description()));
    if (!s.unavailable().empty()) output.Line(absl::StrCat("  not available: ", s.unavailable()));
    for (const v1::ScorerOption& o : s.options()) {
      std::string expected = o.expected();
      if (o.kind() == v1::ScorerOption::KIND_CHOICE) expected = absl::StrJoin(o.choices(), " | ");
      if (o.kind() == v1::ScorerOption::KIND_BOOL) expected = "true | false";
      output.Line(absl::StrCat("  ", o.name(), "=", o.fallback().empty() ? "\"\"" : o.fallback(),
                               "  ", EnumName(v1::ScorerOption::Kind_descriptor(), o.kind()),
                               expected.empty() ? "" : ": ", expected));
    }
  }
}

}  // namespace hone::cli
