#include "libs/reward/math/scorer.h"

#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "libs/reward/math/extract.h"
#include "libs/reward/math/value.h"
#include "libs/reward/template.h"

namespace hone {
namespace {

class MathScorer final : public Scorer {
 public:
  explicit MathScorer(Template shape) : shape_(shape) {}

  v1::ScorePart Score(const v1::ScoreItem& item, TimePoint) const override {
    absl::string_view reference = item.prompt().answer();
    if (std::optional<math::Extraction> e = math::ExtractAnswer(reference); e.has_value())
      reference = e->answer;
    reference = absl::StripAsciiWhitespace(reference);
    if (reference.size() > math::kMaxAnswerBytes)
      return Unscored(v1::OUTCOME_BAD_REFERENCE,
                      absl::StrCat("prompt.answer has ", reference.size(), " bytes, at most ",
                                   math::kMaxAnswerBytes));
    const math::Value want = math::ReadValue(reference);
    if (want.empty())
      return Unscored(v1::OUTCOME_BAD_REFERENCE, absl::StrCat("prompt.answer holds no answer: ",
                                                              Quoted(item.prompt().answer())));

    if (const TemplateMatch match = MatchTemplate(shape_, item); !match.ok)
      return Unparsed(match.why);
    const std::optional<absl::string_view> rest = AfterThinking(item);
    if (!rest.has_value()) return Unparsed("the thoughts do not end");
    const std::optional<math::Extraction> found = math::ExtractAnswer(*rest);
    if (!found.has_value()) return Unparsed("no final answer found");
    const absl::string_view answer = absl::StripAsciiWhitespace(found->answer);
    if (answer.size() > math::kMaxAnswerBytes)
      return Unscored(v1::OUTCOME_BUDGET, absl::StrCat("the answer has ", answer.size(),
                                                       " bytes, at most ", math::kMaxAnswerBytes));
    const math::Value got = math::ReadValue(answer);
    if (got.empty()) return Unparsed("the final answer is blank");

    const bool same = math::SameValue(got, want);
    const absl::string_view kind =
        got.number.has_value() && want.number.has_value() ? " as numbers" : " as text";
    return Scored(same ? 1 : 0, absl::StrCat(found->how, ": ", Quoted(answer),
                                             same ? " = " : " is not ", Quoted(reference), kind));
  }

 private:
  Template shape_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Scorer>> MakeMathScorer(Options& options) {
  return std::make_unique<MathScorer>(
      TemplateByName(options.Choice("require_format", "none", TemplateNames())));
}

}  // namespace hone
