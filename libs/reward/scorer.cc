#include "libs/reward/scorer.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace hone {

v1::ScorePart Scored(double value, absl::string_view reason) {
  v1::ScorePart part;
  part.set_outcome(v1::OUTCOME_SCORED);
  part.set_value(value);
  part.set_reason(std::string(reason));
  return part;
}

v1::ScorePart Unparsed(absl::string_view reason) {
  return Unscored(v1::OUTCOME_UNPARSED, reason);
}

v1::ScorePart Unscored(v1::Outcome outcome, absl::string_view reason) {
  v1::ScorePart part;
  part.set_outcome(outcome);
  part.set_reason(std::string(reason));
  return part;
}

v1::ScorePart OwnFailure(v1::Outcome outcome, double value, absl::string_view reason) {
  v1::ScorePart part = Unscored(outcome, reason);
  part.set_value(value);
  part.set_counts(true);
  return part;
}

v1::ScorePart Abstained(absl::string_view reason) {
  return Unscored(v1::OUTCOME_ABSTAINED, reason);
}

bool HasValue(const v1::ScorePart& part) {
  return part.outcome() == v1::OUTCOME_SCORED || part.outcome() == v1::OUTCOME_UNPARSED ||
         part.counts();
}

std::string Quoted(absl::string_view s) {
  constexpr size_t kLongest = 60;
  return absl::StrCat("\"", absl::CHexEscape(s.substr(0, kLongest)),
                      s.size() > kLongest ? "..." : "", "\"");
}

}  // namespace hone
