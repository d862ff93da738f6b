#include "libs/reward/contains.h"

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace hone {
namespace {

class ContainsScorer final : public Scorer {
 public:
  explicit ContainsScorer(std::string text) : text_(std::move(text)) {}

  v1::ScorePart Score(const v1::ScoreItem& item, TimePoint) const override {
    const bool found = absl::StrContains(absl::AsciiStrToLower(item.completion()), text_);
    return Scored(found ? 1 : 0, absl::StrCat(found ? "contains " : "lacks ", Quoted(text_)));
  }

 private:
  const std::string text_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Scorer>> MakeContainsScorer(Options& options) {
  std::string text = absl::AsciiStrToLower(options.String("text", ""));
  if (text.empty())
    return absl::InvalidArgumentError("scorer contains: option text is missing or empty");
  return std::make_unique<ContainsScorer>(std::move(text));
}

}  // namespace hone
