// Two answers, divided by a NUL: lexer, parser and comparison. The first equals itself unless it is
// blank or beyond the budget; comparing takes bounded work whatever the bytes say.

#include <cstdint>
#include <cstdlib>

#include "libs/reward/math/compare.h"
#include "libs/reward/math/parser.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using hone::math::Answer;
  absl::string_view text(reinterpret_cast<const char*>(data), size);
  const size_t middle = text.find('\0');
  const absl::string_view first = text.substr(0, middle).substr(0, hone::math::kMaxAnswerBytes);
  const absl::string_view second =
      middle == text.npos ? first : text.substr(middle + 1).substr(0, hone::math::kMaxAnswerBytes);
  const Answer a = hone::math::ParseAnswer(first), b = hone::math::ParseAnswer(second);
  const hone::math::Policy exact;
  if (a.form != Answer::kBlank && !Equal(hone::math::Compare(a, a, exact))) std::abort();
  // The same verdict twice, and for every policy some verdict.
  const hone::math::Match match = hone::math::Compare(a, b, exact);
  if (match == hone::math::Match::kUndefined || match != hone::math::Compare(a, b, exact))
    std::abort();
  hone::math::Policy loose;
  loose.percent = hone::math::Policy::Percent::kFraction;
  loose.units = hone::math::Policy::Units::kIgnore;
  loose.approximation = hone::math::Policy::Approximation::kRelative;
  if (Equal(match) && !Equal(hone::math::Compare(a, b, loose))) std::abort();
  return 0;
}
