#pragma once

// A function test: the data set's tests in one process, the program under test in another, and the
// calls between them relayed and checked here.

#include <string>

#include "libs/base/clock.h"
#include "libs/reward/code/host.h"
#include "libs/reward/code/judgement.h"

namespace hone::code {

// One of the two processes: how it is started and what it loads (values, see wire.h; empty:
// nothing).
struct Side {
  sandbox::Task task;
  std::string load;
  bool shell = false;  // speaks the dialect of shells
  std::string tests;  // of a tester that prepares them: what Host keeps them by
};

// Only the tester's own last word makes a test pass. A program that ends, floods its channel or
// breaks the rules fails every test from there on. OUTCOME_BAD_REFERENCE, not the program's doing,
// where the tests are unusable; VERIFIER_UNAVAILABLE for trouble with the sandbox; TIMEOUT, not its
// own doing, at `deadline`.
Judgement RunFunctionTest(Host& host, const Side& tester, const Side& program, TimePoint deadline);

// The outcome for an error of the sandbox itself.
Judgement SandboxTrouble(const absl::Status& status);

}  // namespace hone::code
