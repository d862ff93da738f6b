#pragma once

// Programs that read stdin and write stdout: one process per case, compared here.

#include <string>

#include "libs/base/clock.h"
#include "libs/reward/code/compare.h"
#include "libs/reward/code/host.h"
#include "libs/reward/code/judgement.h"
#include "libs/reward/code/problem.h"

namespace hone::code {

struct ProgramRules {
  Comparison comparison = Comparison::kTokens;
  double float_tolerance = 0;
  bool every = false;     // go on after a failed case
  size_t most_cases = 0;  // the first ones; 0: all
};

// `task` runs the program; it gets each case's input. A case passes if the program exits with 0 and
// wrote what was expected.
Judgement RunPrograms(Host& host, sandbox::Task task, const std::vector<Case>& cases,
                      const ProgramRules& rules, TimePoint deadline);

// A task that runs `source`, which is not C++, as a program.
sandbox::Task ScriptTask(Language language, const std::string& source,
                         const sandbox::Limits& limits);

}  // namespace hone::code
