#pragma once

// One way of judging a completion. Scorers are made by a Registry and put together by
// RewardFunction.

#include <string>

#include "absl/strings/string_view.h"
#include "libs/base/clock.h"
#include "proto/hone/v1/reward.pb.h"

namespace hone {

// Thread-safe after construction: one object scores from many threads. Score keeps nothing between
// calls and says the same of the same item every time.
class Scorer {
 public:
  virtual ~Scorer() = default;

  // Whether Score waits for something outside its thread: a process, a server. Services give such
  // items threads of their own, so that no rule waits behind them.
  virtual bool blocks() const { return false; }

  // Whether the value is a model's opinion, which a completion may have talked it into, and which
  // is not trusted to stand alone where something could be checked: see RewardFunction::Score.
  virtual bool opinion() const { return false; }

  // `outcome`, `reason` and, where the outcome is SCORED or UNPARSED, `value` in [0, 1], 1 being
  // the full value. The caller fills in name, weight and seconds. An item that cannot be scored
  // gets a typed outcome, never a silent 0. Time is linear in the item's size; the aim is
  // less than 50 ms for any item (README.md has the measurement). A scorer that blocks() answers by
  // `deadline`, with OUTCOME_TIMEOUT if it must; the others need not look at it.
  virtual v1::ScorePart Score(const v1::ScoreItem& item, TimePoint deadline) const = 0;
};

// The kinds of answers. `value` in [0, 1].
v1::ScorePart Scored(double value, absl::string_view reason);
v1::ScorePart Unparsed(absl::string_view reason);  // the model's fault: the lowest value, 0
v1::ScorePart Unscored(v1::Outcome outcome, absl::string_view reason);
// A program of the completion's own timed out, crashed, did not compile: `outcome` says so, and
// `value` counts.
v1::ScorePart OwnFailure(v1::Outcome outcome, double value, absl::string_view reason);
// No opinion: the completion is too short, say, to be judged in this respect. Never for what a
// failure or a wrong set-up causes. See RewardSpec for what becomes of it.
v1::ScorePart Abstained(absl::string_view reason);

// Whether a part's value is part of the score.
bool HasValue(const v1::ScorePart& part);

// `s` for use in a reason: at most 60 bytes of it, escaped to ASCII (reasons must be valid UTF-8).
std::string Quoted(absl::string_view s);

}  // namespace hone
