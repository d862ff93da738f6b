// Agreement with labels that others gave. Needs the data folder; see libs/reward/README.md for the
// figures.

#include <cstdlib>
#include <fstream>
#include <map>

#include "absl/strings/match.h"
#include "libs/reward/math/compare.h"
#include "libs/reward/math/extract.h"
#include "libs/reward/math/parser.h"
#include "nlohmann/json.hpp"
#include "tests/reward/items.h"
#include "tests/testing/test.h"

namespace hone::testing {
namespace {

// Empty, with a visible note, when the data are not there.
std::vector<nlohmann::json> Rows(const char* name) {
  const char* folder = std::getenv("HONE_DATA");
  if (folder == nullptr) {
    WARN("skipped: HONE_DATA is not set");
    return {};
  }
  std::ifstream file(std::string(folder) + "/" + name);
  REQUIRE(file.good());
  std::vector<nlohmann::json> rows;
  for (std::string line; std::getline(file, line);) rows.push_back(nlohmann::json::parse(line));
  return rows;
}

// Where set, every disagreement is printed.
bool Verbose() {
  return std::getenv("HONE_LIST_MISSES") != nullptr;
}

struct Count {
  int right = 0, wrong_accepts = 0, wrong_rejects = 0;
  int all() const { return right + wrong_accepts + wrong_rejects; }
  void Add(bool got, bool want) {
    if (got == want)
      ++right;
    else
      ++(got ? wrong_accepts : wrong_rejects);
  }
};

TEST_CASE("the math scorer agrees with labelled completions", "[reward][data]") {
  const std::vector<nlohmann::json> rows = Rows("checker/labelled_completions.jsonl");
  if (rows.empty()) return;
  const RewardFunction f = Function(R"({"scorers": [{"name": "math"}]})");
  std::map<std::string, Count> counts;
  std::vector<v1::ScoreItem> items;
  for (const nlohmann::json& row : rows) {
    v1::ScoreItem& item = items.emplace_back();
    item.set_completion(row["response"].get<std::string>());
    item.mutable_prompt()->set_answer(row["gold"].get<std::string>());
  }
  const double start = ThreadSeconds();
  std::vector<v1::Verdict> verdicts;
  for (const v1::ScoreItem& item : items) verdicts.push_back(f.Score(item));
  const double seconds = ThreadSeconds() - start;
  for (size_t i = 0; i < rows.size(); ++i) {
    const std::string source = rows[i]["source"];
    const bool want = rows[i]["label"];
    const bool got = verdicts[i].correct();
    counts[source].Add(got, want);
    if (Verbose() && got != want)
      WARN(source << " " << rows[i]["id"] << " label " << want << ": "
                  << verdicts[i].parts(0).reason());
  }
  WARN(items.size() / seconds << " checks per second of CPU time");
  for (const auto& [source, c] : counts) {
    WARN(source << ": " << c.right << " of " << c.all() << " right, " << c.wrong_accepts
                << " wrong accepts, " << c.wrong_rejects << " wrong rejects");
    if (absl::StartsWith(source, "gsm8k")) CHECK(c.right == c.all());
  }
  CHECK(counts.size() >= 5);
}

TEST_CASE("the math scorer keeps mutations and rewrites apart", "[reward][data]") {
  const std::vector<nlohmann::json> rows = Rows("checker/metamorphic.jsonl");
  if (rows.empty()) return;
  std::map<std::string, Count> counts;
  Count total, negatives;
  for (const nlohmann::json& row : rows) {
    const math::Answer gold = math::ParseAnswer(row["gold"].get<std::string>());
    const math::Answer pred = math::ParseAnswer(row["pred"].get<std::string>());
    const bool want = row["label"];
    const bool got = Equal(math::Compare(pred, gold, math::Policy()));
    counts[row["kind"]].Add(got, want);
    total.Add(got, want);
    if (!want) negatives.Add(got, want);
    if (Verbose() && got != want) WARN(row.dump());
  }
  for (const auto& [kind, c] : counts)
    if (c.right != c.all())
      WARN(kind << ": " << c.right << " of " << c.all() << ", " << c.wrong_accepts
                << " wrong accepts");
  WARN("rewrites and mutations: " << total.right << " of " << total.all() << " right; "
                                  << negatives.wrong_accepts << " of " << negatives.all()
                                  << " mutations accepted");
  // A wrong accept teaches the model something wrong; a wrong reject of a rare form costs a sample.
  CHECK(negatives.wrong_accepts == 0);
  CHECK(total.right - negatives.right >= 0.99 * (total.all() - negatives.all()));
}

TEST_CASE("the math scorer and the tests of public graders", "[reward][data]") {
  const std::vector<nlohmann::json> rows = Rows("checker/pairs.jsonl");
  if (rows.empty()) return;
  const RewardFunction f = Function(R"({"scorers": [{"name": "math"}]})");
  Count count, numeric;
  for (const nlohmann::json& row : rows) {
    const auto& want_field = row.contains("expected") ? row["expected"] : row["result"];
    const bool want = want_field.is_boolean() ? want_field.get<bool>() : want_field.get<int>() == 1;
    const std::string pred = row["pred"], gold = row["gold"];
    v1::ScoreItem item;
    // The pairs give answers where the scorer expects a text that holds one.
    item.set_completion(math::ExtractAnswer(pred).has_value() ? pred
                                                              : "<answer>" + pred + "</answer>");
    item.mutable_prompt()->set_answer(gold);
    const v1::Verdict verdict = f.Score(item);
    count.Add(verdict.correct(), want);
    const bool is_numeric = math::ParseAnswer(gold).node.Is(math::Kind::kNumber);
    if (is_numeric) numeric.Add(verdict.correct(), want);
    if (Verbose() && verdict.correct() != want)
      WARN((is_numeric ? "numeric " : "") << verdict.parts(0).reason() << " expected " << want);
  }
  WARN("pairs: " << count.right << " of " << count.all() << ", of those with a number as reference "
                 << numeric.right << " of " << numeric.all() << "; " << count.wrong_accepts
                 << " wrong accepts");
  // One of them wants line ends inside \( \) to hide an answer; they do not.
  CHECK(count.wrong_accepts <= 1);
  CHECK(count.right >= 0.9 * count.all());
}

// Parsed, not only equal as text, and equal to itself as a tree.
TEST_CASE("the math scorer understands references", "[reward][data]") {
  const std::pair<const char*, double> sets[] = {{"math/math500.jsonl", 0.999},
                                                 {"math/olympiadbench.jsonl", 0.99},
                                                 {"math/cmath.jsonl", 0.999}};
  for (const auto& [name, target] : sets) {
    int all = 0, good = 0;
    for (const nlohmann::json& row : Rows(name)) {
      const auto& field = row.contains("answer") ? row["answer"] : row["final_answer"][0];
      const std::string text = field.get<std::string>();
      math::Answer answer = math::ParseAnswer(text), same = answer;
      same.spelling.clear();
      const bool equal = Equal(math::Compare(same, answer, math::Policy()));
      const bool parsed =
          answer.form == math::Answer::kParsed || answer.form == math::Answer::kText;
      ++all;
      good += equal && parsed;
      if (Verbose() && !(equal && parsed)) WARN(name << ": " << text << " is not understood");
    }
    WARN(name << ": " << good << " of " << all << " references understood");
    CHECK(good >= target * all);
  }
}

}  // namespace
}  // namespace hone::testing
