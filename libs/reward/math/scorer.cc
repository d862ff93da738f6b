#include "libs/reward/math/scorer.h"

#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "libs/reward/math/compare.h"
#include "libs/reward/math/extract.h"
#include "libs/reward/template.h"

namespace hone {
namespace {

using math::Answer;
using math::Match;

class MathScorer final : public Scorer {
 public:
  MathScorer(Template shape, math::Boxes boxes, math::Policy policy)
      : shape_(shape), boxes_(boxes), policy_(std::move(policy)) {}

  v1::ScorePart Score(const v1::ScoreItem& item, TimePoint) const override {
    std::string reference = item.prompt().answer();
    if (std::optional<math::Extraction> e = math::ExtractAnswer(reference, boxes_); e.has_value())
      reference = std::move(e->answer);
    absl::StripAsciiWhitespace(&reference);
    if (reference.size() > math::kMaxAnswerBytes)
      return Unscored(v1::OUTCOME_BAD_REFERENCE,
                      absl::StrCat("prompt.answer has ", reference.size(), " bytes, at most ",
                                   math::kMaxAnswerBytes));
    const Answer want = math::ParseAnswer(reference);
    if (want.form == Answer::kBlank)
      return Unscored(v1::OUTCOME_BAD_REFERENCE, absl::StrCat("prompt.answer holds no answer: ",
                                                              Quoted(item.prompt().answer())));

    if (const TemplateMatch match = MatchTemplate(shape_, item); !match.ok)
      return Unparsed(match.why);
    const std::optional<absl::string_view> rest = AfterThinking(item);
    if (!rest.has_value()) return Unparsed("the thoughts do not end");
    const std::optional<math::Extraction> found = math::ExtractAnswer(*rest, boxes_);
    if (!found.has_value()) return Unparsed("no final answer found");
    if (found->disagree) return Unparsed("the boxes hold different answers");
    const absl::string_view answer = absl::StripAsciiWhitespace(found->answer);
    if (answer.size() > math::kMaxAnswerBytes)
      return Unscored(v1::OUTCOME_BUDGET, absl::StrCat("the answer has ", answer.size(),
                                                       " bytes, at most ", math::kMaxAnswerBytes));
    const Answer got = math::ParseAnswer(answer);
    if (got.form == Answer::kBlank) return Unparsed("the final answer is blank");

    const Match match = math::Compare(got, want, policy_);
    const std::string reason =
        absl::StrCat(found->how, ": ", Quoted(answer), Equal(match) ? " = " : " is not ",
                     Quoted(reference), " (", math::MatchName(match), ")");
    switch (match) {
      case Match::kUnparsedReference:
        return Unscored(v1::OUTCOME_BAD_REFERENCE, reason);
      case Match::kUnparsedPrediction:
        return Unparsed(reason);
      case Match::kBudget:
        return Unscored(v1::OUTCOME_BUDGET, reason);
      default:
        return Scored(Equal(match) ? 1 : 0, reason);
    }
  }

 private:
  const Template shape_;
  const math::Boxes boxes_;
  const math::Policy policy_;
};

// The index of the option's value in `allowed`, as the enum that has them in this order.
template <typename Enum>
Enum Choice(Options& options, absl::string_view name, const std::vector<std::string>& allowed) {
  const std::string value = options.Choice(name, allowed[0], allowed);
  size_t i = 0;
  while (allowed[i] != value) ++i;
  return static_cast<Enum>(i);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Scorer>> MakeMathScorer(Options& options) {
  const Template shape = TemplateByName(options.Choice("require_format", "none", TemplateNames()));
  const auto boxes = Choice<math::Boxes>(options, "boxes", {"last", "join", "agree"});
  math::Policy policy;
  policy.percent =
      Choice<math::Policy::Percent>(options, "percent", {"number", "fraction", "strict"});
  policy.units = Choice<math::Policy::Units>(options, "units", {"lenient", "ignore", "strict"});
  policy.approximation = Choice<math::Policy::Approximation>(
      options, "approximation", {"exact", "relative", "reference_decimals"});
  const double tolerance = options.Number("relative_tolerance", 1e-6, 1e-15, 0.1);
  policy.tolerance = math::Node(math::Kind::kNumber, absl::StrFormat("%.18f", tolerance));
  return std::make_unique<MathScorer>(shape, boxes, std::move(policy));
}

}  // namespace hone
