#include "libs/reward/length.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace hone {
namespace {

struct Wanted {
  std::string unit;
  int64_t max = 0, buffer = 0;        // where max > 0
  int64_t target = 0, tolerance = 0;  // else
};

int64_t Words(absl::string_view text) {
  int64_t words = 0;
  bool inside = false;
  for (const char c : text) {
    const bool space = absl::ascii_isspace(static_cast<unsigned char>(c));
    words += !space && !inside;
    inside = !space;
  }
  return words;
}

class LengthScorer final : public Scorer {
 public:
  explicit LengthScorer(Wanted wanted) : wanted_(std::move(wanted)) {}

  v1::ScorePart Score(const v1::ScoreItem& item, TimePoint) const override {
    const absl::string_view text = item.completion();
    int64_t length = item.completion_tokens();
    if (wanted_.unit == "words") {
      length = Words(text);
    } else if (wanted_.unit == "characters") {
      length = std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; });
    } else if (length <= 0) {
      return Unscored(v1::OUTCOME_BAD_REFERENCE,
                      "the item has no completion_tokens: set them, or count another unit");
    }
    return Scored(ValueOf(length), absl::StrCat(length, " ", wanted_.unit, ", ", Describe()));
  }

 private:
  double ValueOf(int64_t length) const {
    const double n = static_cast<double>(length);
    if (wanted_.max == 0)
      return std::max(0.0, 1 - std::abs(n - static_cast<double>(wanted_.target)) /
                                   static_cast<double>(wanted_.tolerance));
    const int64_t free = wanted_.max - wanted_.buffer;
    if (length <= free) return 1;
    if (length >= wanted_.max) return 0;
    return static_cast<double>(wanted_.max - length) / static_cast<double>(wanted_.buffer);
  }

  std::string Describe() const {
    if (wanted_.max == 0) return absl::StrCat("wanted ", wanted_.target, " +- ", wanted_.tolerance);
    return absl::StrCat(
        "wanted at most ", wanted_.max - wanted_.buffer,
        wanted_.buffer > 0 ? absl::StrCat(", nothing from ", wanted_.max, " on") : std::string());
  }

  const Wanted wanted_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Scorer>> MakeLengthScorer(Options& options) {
  constexpr int64_t kMost = 1 << 30;
  Wanted w;
  w.unit = options.Choice("unit", "tokens", {"tokens", "characters", "words"});
  w.max = options.Integer("max", 0, 0, kMost);
  w.buffer = options.Integer("buffer", 0, 0, kMost);
  w.target = options.Integer("target", 0, 0, kMost);
  w.tolerance = options.Integer("tolerance", 0, 0, kMost);
  const auto wrong = [](absl::string_view what) {
    return absl::InvalidArgumentError(absl::StrCat("scorer length: ", what));
  };
  if ((w.max > 0) == (w.target > 0))
    return wrong("expected exactly one of the options max and target, more than 0");
  if (w.max > 0 && w.tolerance > 0) return wrong("option tolerance goes with target, not with max");
  if (w.target > 0 && w.buffer > 0) return wrong("option buffer goes with max, not with target");
  if (w.buffer > w.max && w.max > 0)
    return wrong(absl::StrCat("option buffer is ", w.buffer, ", expected at most max = ", w.max));
  if (w.tolerance == 0) w.tolerance = w.target;
  return std::make_unique<LengthScorer>(std::move(w));
}

}  // namespace hone
