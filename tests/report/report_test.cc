#include "libs/report/report.h"

#include <limits>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/report/synthetic.h"
#include "tests/testing/test.h"

namespace hone {
namespace {

size_t Count(const std::string& text, const std::string& part) {
  size_t n = 0;
  for (size_t i = text.find(part); i != std::string::npos; i = text.find(part, i + part.size()))
    ++n;
  return n;
}

void CheckBalanced(const std::string& page) {
  for (const char* tag :
       {"section", "figure",  "div",   "dl", "dd", "dt",   "p",      "pre", "svg", "span", "ul",
        "li",      "article", "table", "tr", "td", "main", "script", "h2",  "h3",  "b",    "i"}) {
    INFO(tag);
    const std::string open = absl::StrCat("<", tag);
    CHECK(Count(page, open + ">") + Count(page, open + " ") ==
          Count(page, absl::StrCat("</", tag, ">")));
  }
}

TEST_CASE("the page shows the figures of a whole run", "[report]") {
  const std::string page = RenderReport(testing::SyntheticRun(200, 100));
  CheckBalanced(page);
  CHECK(absl::StrContains(page,
                          "<h1>countdown <span class=\"state succeeded\">succeeded</span></h1>"));
  CHECK(absl::StrContains(page, "cold-start (supervised, 200 steps) → grpo (GRPO, 100 steps)"));
  CHECK(absl::StrContains(page, "48.0 % → 91.6 %"));  // pass@1 of validation
  CHECK(absl::StrContains(page, "bit-identical log-probabilities on all 100 steps"));
  CHECK(absl::StrContains(page, "<dd>1 600</dd><dd class=\"detail\">0 dropped · 0 lost"));
  CHECK(absl::StrContains(page, "Solved at the first attempt"));
  CHECK(absl::StrContains(page, "total 7 min 11 s"));
  CHECK(absl::StrContains(page, "the expression gives 2, wanted 22"));
  CHECK_FALSE(absl::StrContains(page, "not measured"));
  CHECK_FALSE(absl::StrContains(page, "nan"));
  // No name of a metric is shown raw.
  CHECK_FALSE(absl::StrContains(page, "reward_mean"));
  CHECK_FALSE(absl::StrContains(page, "wait_batch"));
}

TEST_CASE("the page fetches nothing", "[report]") {
  const std::string page = RenderReport(testing::SyntheticRun(20, 20));
  for (const char* word :
       {"http:", "https:", "\"//", "'//", " src=", " href=", "url(", "@import"}) {
    INFO(word);
    CHECK_FALSE(absl::StrContains(page, word));
  }
  CHECK(absl::StrContains(page, "default-src 'none'"));
}

TEST_CASE("hostile texts stay texts wherever they stand", "[report]") {
  const std::string evil =
      "</script><script>alert(1)</script><img src=x onerror='a'>\"&\xff\x01\xE2\x80\xAE";
  ReportData data = testing::SyntheticRun(5, 5);
  v1::RunSpec& spec = *data.run.mutable_spec();
  spec.set_name(evil);
  spec.mutable_model()->set_path(evil);
  data.run.set_id(evil + "2");
  data.run.set_message(evil);
  data.run.set_checkpoint_path(evil);
  data.machine = data.notes = data.model = evil;
  data.ledgers[evil][evil] = 3;
  for (v1::StageSpec& s : *spec.mutable_stages()) s.set_name(evil + s.name());
  for (v1::StepMetrics& m : data.steps) {
    m.set_stage(evil + m.stage());
    (*m.mutable_values())[evil] = 1;
  }
  for (v1::Evaluation& e : data.evaluations) {
    e.set_name(evil);
    e.set_note(evil);
  }
  for (auto* groups : {&data.first_groups, &data.last_groups}) {
    for (v1::Group& g : *groups) {
      g.set_prompt_id(evil);
      g.set_prompt_text(evil);
      for (v1::Completion& c : *g.mutable_completions()) {
        c.set_text(evil + "<think>" + evil);
        c.mutable_verdict()->mutable_parts(0)->set_scorer(evil);
        c.mutable_verdict()->mutable_parts(0)->set_reason(evil);
      }
    }
  }
  const std::string page = RenderReport(data);
  CheckBalanced(page);
  CHECK(Count(page, "<script") == 2);
  CHECK(Count(page, "<img") == 0);
  CHECK(Count(page, "alert(1)") > 10);
  CHECK(page.find('\xff') == std::string::npos);
  CHECK(page.find('\x01') == std::string::npos);
  CHECK_FALSE(absl::StrContains(page, "\xE2\x80\xAE"));
}

TEST_CASE("what is missing is said", "[report]") {
  const std::string empty = RenderReport({});
  CheckBalanced(empty);
  CHECK(absl::StrContains(empty, "not measured in this run"));
  CHECK(absl::StrContains(empty, "Time ledgers were not collected."));
  CHECK(absl::StrContains(empty, "No completions were given."));

  ReportData data = testing::SyntheticRun(0, 30);
  for (v1::StepMetrics& m : data.steps) {
    m.mutable_values()->erase("kl_to_reference");
    m.mutable_values()->erase("zero_variance_low_fraction");
  }
  const std::string page = RenderReport(data);
  CheckBalanced(page);
  CHECK(Count(page, "not measured in this run") == 1);
  CHECK(absl::StrContains(page, "not measured: Failed"));
}

TEST_CASE("values that are not numbers break curves, not the page", "[report]") {
  ReportData data = testing::SyntheticRun(10, 60);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double bad[] = {nan, std::numeric_limits<double>::infinity(), 1e300, -1e300};
  int i = 0;
  for (v1::StepMetrics& m : data.steps)
    for (auto& [name, value] : *m.mutable_values())
      if (i++ % 7 == 0) value = bad[i / 7 % 4];
  for (auto& [process, states] : data.ledgers) states["generate"] = nan;
  data.evaluations[0].set_pass_at_1(nan);
  const std::string page = RenderReport(data);
  CheckBalanced(page);
  for (const char* word : {"nan", "inf "})
    CHECK(page.find(word, page.find("<main>")) == std::string::npos);
  CHECK(absl::StrContains(page, "not a number"));
}

TEST_CASE("parity that fails is shown as such", "[report]") {
  ReportData data = testing::SyntheticRun(0, 20);
  (*data.steps[7].mutable_values())["logprob_abs_diff_max"] = 0.0125;
  const std::string page = RenderReport(data);
  CHECK(absl::StrContains(page, "Sampler ≠ learner</dt><dd>0.0125</dd>"));
  CHECK_FALSE(absl::StrContains(page, "bit-identical log-probabilities"));
}

TEST_CASE("a run of many steps gives a page of bounded size", "[report]") {
  const std::string page = RenderReport(testing::SyntheticRun(3000, 9000));
  CHECK(page.size() < 1'600'000);
}

TEST_CASE("a panel of one stage has no point of another", "[report]") {
  ReportData data = testing::SyntheticRun(100, 30);
  for (v1::StepMetrics& m : data.steps)
    if (m.stage() == "cold-start") (*m.mutable_values())["train_seconds"] = 77;
  const std::string page = RenderReport(data);
  const size_t panel = page.find("Seconds of a step");
  REQUIRE(panel != std::string::npos);
  // Else the scale would reach 80.
  CHECK_FALSE(absl::StrContains(page.substr(panel, page.find("</figure>", panel) - panel), ">80<"));
}

TEST_CASE("a replayed step counts once", "[report]") {
  ReportData data = testing::SyntheticRun(0, 20);
  data.steps.push_back(data.steps[3]);
  (*data.steps.back().mutable_values())["reward_mean"] = 0.123;
  CHECK(absl::StrContains(RenderReport(data), "on all 20 steps"));
}

}  // namespace
}  // namespace hone
