#include "libs/reward/format.h"

#include "libs/reward/template.h"

namespace hone {
namespace {

class FormatScorer final : public Scorer {
 public:
  FormatScorer(Template kind, bool own_lines) : kind_(kind), own_lines_(own_lines) {}

  v1::ScorePart Score(const v1::ScoreItem& item, TimePoint) const override {
    const TemplateMatch match = MatchTemplate(kind_, item);
    if (!match.ok) return Scored(0, match.why);
    if (own_lines_ && !TagsOnOwnLines(kind_, StripSpecialTokens(item.completion())))
      return Scored(0, "a tag does not stand on a line of its own");
    return Scored(1, "well formed");
  }

 private:
  const Template kind_;
  const bool own_lines_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Scorer>> MakeFormatScorer(Options& options) {
  const Template kind = TemplateByName(options.Choice("template", "r1_zero", {"r1_zero", "think"}));
  return std::make_unique<FormatScorer>(
      kind, options.Choice("newlines", "any", {"any", "strict"}) == "strict");
}

}  // namespace hone
