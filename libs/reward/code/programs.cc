#include "libs/reward/code/programs.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/reward/code/relay.h"

namespace hone::code {

Judgement RunPrograms(Host& host, sandbox::Task task, const std::vector<Case>& cases,
                      const ProgramRules& rules, TimePoint deadline) {
  const size_t count =
      rules.most_cases == 0 ? cases.size() : std::min(cases.size(), rules.most_cases);
  Judgement j;
  j.total = static_cast<int64_t>(count);
  const auto miss = [&](size_t i, v1::Outcome outcome, absl::string_view why) {
    if (!j.reason.empty()) return;  // the first is told
    j.outcome = outcome;
    j.reason = absl::StrCat("case ", i + 1, " of ", count, ": ", why);
  };
  for (size_t i = 0; i < count; ++i) {
    task.stdin_data = cases[i].input;
    const absl::StatusOr<sandbox::Result> result = host.sandbox().Run(task, deadline);
    if (!result.ok()) return SandboxTrouble(result.status());
    if (result->ending == sandbox::Ending::kExited && result->exit_code == 0) {
      if (SameOutput(result->stdout_data, cases[i].output, rules.comparison,
                     rules.float_tolerance)) {
        ++j.passed;
        continue;
      }
      miss(i, v1::OUTCOME_SCORED,
           absl::StrCat("wrote \"", Printable(result->stdout_data, 80), "\", expected \"",
                        Printable(cases[i].output, 80), "\""));
    } else {
      const Failure failure = Explain(*result, task.limits, "the program");
      if (!failure.own) return Unjudged(failure.outcome, failure.why);
      miss(i, failure.outcome, failure.why);
    }
    if (!rules.every) break;
  }
  return j;
}

sandbox::Task ScriptTask(Language language, const std::string& source,
                         const sandbox::Limits& limits) {
  sandbox::Task task;
  task.limits = limits;
  if (language == Language::kPython) {
    task.language = sandbox::Language::kPython;
    task.source = source;
    return task;
  }
  task.limits.processes = std::max(limits.processes, 64);
  const bool shell = language == Language::kShell;
  const std::string file = shell ? "main.sh" : "main.js";
  task.argv = shell ? std::vector<std::string>{"/bin/bash", file} : NodeCommand(file);
  task.files = {{file, source}};
  return task;
}

}  // namespace hone::code
