#include "libs/reward/format.h"

#include "libs/reward/template.h"

namespace hone {
namespace {

class FormatScorer final : public Scorer {
 public:
  explicit FormatScorer(Template kind) : kind_(kind) {}

  v1::ScorePart Score(const v1::ScoreItem& item, TimePoint) const override {
    const TemplateMatch match = MatchTemplate(kind_, item);
    return match.ok ? Scored(1, "well formed") : Scored(0, match.why);
  }

 private:
  Template kind_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Scorer>> MakeFormatScorer(Options& options) {
  return std::make_unique<FormatScorer>(
      TemplateByName(options.Choice("template", "r1_zero", {"r1_zero", "think"})));
}

}  // namespace hone
