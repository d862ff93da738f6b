#pragma once

// What running tests gave, and how the end of a program is read.

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "libs/sandbox/sandbox.h"
#include "proto/hone/v1/trajectory.pb.h"

namespace hone::code {

// How a program ended, in the words of verdicts.
struct Failure {
  v1::Outcome outcome = v1::OUTCOME_SCORED;  // SCORED: it ended by itself
  bool own = true;                           // its own doing; false: the caller's deadline
  std::string why;                           // for people
};

// `who`: "the program", "the compiler".
Failure Explain(const sandbox::Result& result, const sandbox::Limits& limits,
                absl::string_view who);

struct Judgement {
  int64_t passed = 0;
  int64_t total = 0;
  // What kept a test from a plain yes or no; SCORED where nothing did.
  v1::Outcome outcome = v1::OUTCOME_SCORED;
  bool own = true;     // `outcome` is the completion's own doing
  std::string reason;  // for people: the first failure

  bool all() const { return total > 0 && passed == total; }
};

Judgement Unjudged(v1::Outcome outcome, std::string reason);

// Foreign text for a reason: printable ASCII, at most `most` bytes, the middle left out.
std::string Printable(absl::string_view text, size_t most = 300);

}  // namespace hone::code
