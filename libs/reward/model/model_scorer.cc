#include "libs/reward/model/model_scorer.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "libs/base/status.h"
#include "libs/json/strict_json.h"

namespace hone::reward_model {

using nlohmann::json;

std::string Number(double number) {
  return absl::StrFormat("%.4g", number);
}

absl::StatusOr<Transform> Transform::Read(Options& options) {
  constexpr double kFar = 1e6;
  const std::string kind = options.Choice("transform", "none", {"none", "sigmoid", "linear"});
  Transform transform;
  transform.kind = kind == "sigmoid"  ? Kind::kSigmoid
                   : kind == "linear" ? Kind::kLinear
                                      : Kind::kNone;
  transform.low = options.Number("low", 0, -kFar, kFar);
  transform.high = options.Number("high", 1, -kFar, kFar);
  if (!(transform.low < transform.high))
    return absl::InvalidArgumentError(absl::StrCat(
        "option \"low\" is ", transform.low, ", expected less than \"high\", ", transform.high));
  return transform;
}

absl::StatusOr<double> Transform::Apply(double number) const {
  switch (kind) {
    case Kind::kSigmoid:
      return 1 / (1 + std::exp(-number));
    case Kind::kLinear:
      return std::clamp((number - low) / (high - low), 0.0, 1.0);
    case Kind::kNone:
      break;
  }
  if (number >= 0 && number <= 1) return number;
  return absl::InvalidArgumentError(
      absl::StrCat(Number(number), " is not in [0, 1], and option \"transform\" is none"));
}

absl::StatusOr<Base> Base::Read(const Backends& backends, absl::string_view scorer,
                                Options& options) {
  const std::string name = options.String("backend", "");
  Base base{backends, nullptr, options.Bool("allow_sole_judge", false)};
  if (name.empty())
    return absl::InvalidArgumentError(
        absl::StrCat("scorer ", scorer, ": option backend is missing: the model to ask"));
  absl::StatusOr<const ModelBackend*> backend = backends->Find(name);
  if (!backend.ok())
    return absl::InvalidArgumentError(
        absl::StrCat("scorer ", scorer, ": ", backend.status().message()));
  base.backend = *backend;
  return base;
}

v1::ScorePart ModelScorer::Ask(
    absl::string_view path, json& request, TimePoint deadline,
    const std::function<absl::StatusOr<v1::ScorePart>(const json&)>& read) const {
  if (!backend_.model.empty()) request["model"] = backend_.model;
  const absl::StatusOr<std::string> body = backend_.endpoint->Post(
      path, request.dump(-1, ' ', false, json::error_handler_t::replace), deadline);
  if (!body.ok())
    return Unscored(absl::IsDeadlineExceeded(body.status()) ? v1::OUTCOME_TIMEOUT
                                                            : v1::OUTCOME_VERIFIER_UNAVAILABLE,
                    body.status().message());
  const auto answer = [&]() -> absl::StatusOr<v1::ScorePart> {
    HONE_ASSIGN_OR_RETURN(const json object, ParseJsonObject(*body, "the backend's answer"));
    return read(object);
  }();
  if (answer.ok()) return *answer;
  return Unscored(v1::OUTCOME_VERIFIER_UNAVAILABLE, answer.status().message());
}

}  // namespace hone::reward_model
