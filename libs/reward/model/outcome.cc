// `reward_model` and `process_reward`.

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/reward/model/model_scorer.h"

namespace hone::reward_model {
namespace {

using nlohmann::json;

constexpr size_t kMaxSteps = 1000;

// The number in `value`, transformed. INVALID_ARGUMENT names it as `what`.
absl::StatusOr<double> Value(const json& value, const Transform& transform,
                             absl::string_view what) {
  if (!value.is_number())
    return absl::InvalidArgumentError(
        absl::StrCat("the backend's answer: ", what, " is no number"));
  const absl::StatusOr<double> number = transform.Apply(value.get<double>());
  if (number.ok()) return number;
  return absl::InvalidArgumentError(
      absl::StrCat("the backend's answer: ", what, ": ", number.status().message()));
}

class OutcomeScorer final : public ModelScorer {
 public:
  OutcomeScorer(Base base, Transform transform)
      : ModelScorer(std::move(base)), transform_(transform) {}

  v1::ScorePart Score(const v1::ScoreItem& item, TimePoint deadline) const override {
    json request{{"prompt", item.prompt().text()}, {"completion", item.completion()}};
    return Ask("", request, deadline, [&](const json& answer) -> absl::StatusOr<v1::ScorePart> {
      const auto score = answer.find("score");
      if (score == answer.end())
        return absl::InvalidArgumentError("the backend's answer has no \"score\"");
      HONE_ASSIGN_OR_RETURN(const double value, Value(*score, transform_, "score"));
      return Scored(value, absl::StrCat("the model says ", Number(score->get<double>())));
    });
  }

 private:
  const Transform transform_;
};

class ProcessScorer final : public ModelScorer {
 public:
  ProcessScorer(Base base, Transform transform, std::string delimiter, std::string aggregate)
      : ModelScorer(std::move(base)),
        transform_(transform),
        delimiter_(std::move(delimiter)),
        aggregate_(std::move(aggregate)) {}

  v1::ScorePart Score(const v1::ScoreItem& item, TimePoint deadline) const override {
    const std::vector<std::string> steps = Steps(item.completion());
    if (steps.empty()) return Unparsed("the completion has no step");
    if (steps.size() > kMaxSteps)
      return Unscored(v1::OUTCOME_BUDGET,
                      absl::StrCat("the completion has more than ", kMaxSteps, " steps"));
    json request{{"prompt", item.prompt().text()}, {"steps", steps}};
    return Ask("", request, deadline, [&](const json& answer) -> absl::StatusOr<v1::ScorePart> {
      const auto scores = answer.find("scores");
      if (scores == answer.end() || !scores->is_array() || scores->size() != steps.size())
        return absl::InvalidArgumentError(
            absl::StrCat("the backend's answer: expected \"scores\", a list of ", steps.size()));
      std::vector<double> values;
      for (size_t i = 0; i < scores->size(); ++i) {
        HONE_ASSIGN_OR_RETURN(const double value,
                              Value((*scores)[i], transform_, absl::StrCat("scores[", i, "]")));
        values.push_back(value);
      }
      const size_t worst =
          static_cast<size_t>(std::min_element(values.begin(), values.end()) - values.begin());
      return Scored(Aggregate(values),
                    absl::StrCat(aggregate_, " of ", values.size(), " steps; the lowest is step ",
                                 worst + 1, " with ", Number(values[worst])));
    });
  }

 private:
  // At most kMaxSteps + 1.
  std::vector<std::string> Steps(absl::string_view text) const {
    std::vector<std::string> steps;
    while (!text.empty() && steps.size() <= kMaxSteps) {
      const size_t end = std::min(text.find(delimiter_), text.size());
      const absl::string_view step = absl::StripAsciiWhitespace(text.substr(0, end));
      if (!step.empty()) steps.emplace_back(step);
      text.remove_prefix(std::min(end + delimiter_.size(), text.size()));
    }
    return steps;
  }

  double Aggregate(const std::vector<double>& values) const {
    if (aggregate_ == "last") return values.back();
    if (aggregate_ == "min") return *std::min_element(values.begin(), values.end());
    double sum = 0, product = 1;
    for (const double v : values) {
      sum += v;
      product *= v;
    }
    return aggregate_ == "mean" ? sum / static_cast<double>(values.size()) : product;
  }

  const Transform transform_;
  const std::string delimiter_;
  const std::string aggregate_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Scorer>> MakeOutcome(const Backends& backends, Options& options) {
  const absl::StatusOr<Transform> transform = Transform::Read(options);
  HONE_ASSIGN_OR_RETURN(Base base, Base::Read(backends, "reward_model", options));
  HONE_RETURN_IF_ERROR(transform.status());
  return std::make_unique<OutcomeScorer>(std::move(base), *transform);
}

absl::StatusOr<std::unique_ptr<Scorer>> MakeProcess(const Backends& backends, Options& options) {
  const absl::StatusOr<Transform> transform = Transform::Read(options);
  std::string delimiter = options.String("delimiter", "\n\n");
  std::string aggregate = options.Choice("aggregate", "min", {"min", "mean", "last", "product"});
  HONE_ASSIGN_OR_RETURN(Base base, Base::Read(backends, "process_reward", options));
  HONE_RETURN_IF_ERROR(transform.status());
  if (delimiter.empty())
    return absl::InvalidArgumentError("scorer process_reward: option delimiter is empty");
  return std::make_unique<ProcessScorer>(std::move(base), *transform, std::move(delimiter),
                                         std::move(aggregate));
}

}  // namespace hone::reward_model
