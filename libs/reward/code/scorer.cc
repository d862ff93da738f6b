#include "libs/reward/code/scorer.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/file.h"
#include "libs/base/status.h"
#include "libs/reward/code/embedded.h"
#include "libs/reward/code/extract.h"
#include "libs/reward/code/host.h"
#include "libs/reward/code/problem.h"
#include "libs/reward/code/programs.h"
#include "libs/reward/code/relay.h"
#include "libs/reward/code/sides.h"

namespace hone {
namespace {

using namespace code;  // NOLINT: this file is its only user

struct Rules {
  std::string language;  // of LanguageNames(), or "auto"
  Extraction extraction = Extraction::kAuto;
  bool fraction = false;   // else all or nothing
  bool score_zero = true;  // what a program did to itself counts as 0
  sandbox::Limits limits;
  ProgramRules programs;
};

class CodeScorer final : public Scorer {
 public:
  CodeScorer(std::shared_ptr<Host> host, Rules rules)
      : host_(std::move(host)), rules_(std::move(rules)) {}

  bool blocks() const override { return true; }

  v1::ScorePart Score(const v1::ScoreItem& item, TimePoint deadline) const override {
    const absl::StatusOr<Problem> problem = ReadProblem(item.prompt(), rules_.language);
    if (!problem.ok()) return Unscored(v1::OUTCOME_BAD_REFERENCE, problem.status().message());
    std::string why;
    const std::optional<Extracted> program =
        ExtractProgram(item, *problem, rules_.extraction, &why);
    if (!program.has_value()) return Unparsed(why);
    return Verdict(Judge(*problem, *program, deadline));
  }

 private:
  Judgement Judge(const Problem& problem, const Extracted& program, TimePoint deadline) const {
    if (problem.form == Form::kPrograms) return JudgeProgram(problem, program, deadline);
    switch (program.language) {
      case Language::kPython:
        return Run(PythonSides(*host_, problem, program.source, rules_.fraction, rules_.limits),
                   deadline);
      case Language::kJavaScript:
        return Run(JavaScriptSides(problem, program.source, rules_.fraction, rules_.limits),
                   deadline);
      case Language::kShell:
        return Run(ShellSides(problem, program.source, rules_.limits), deadline);
      case Language::kCpp:
        break;
    }
    const absl::StatusOr<CppSources> sources =
        MakeCppSources(problem, program.source, rules_.fraction);
    if (!sources.ok())
      return Unjudged(v1::OUTCOME_BAD_REFERENCE, std::string(sources.status().message()));
    const auto tester = host_->compiler().Compile(sources->tester, deadline);
    if (!tester.ok()) return SandboxTrouble(tester.status());
    if (!(*tester)->ok)
      return Unjudged(v1::OUTCOME_BAD_REFERENCE,
                      absl::StrCat("the tests: ", (*tester)->failure.why));
    const auto compiled = host_->compiler().Compile(sources->program, deadline);
    if (!compiled.ok()) return SandboxTrouble(compiled.status());
    if (!(*compiled)->ok) return NotCompiled(**compiled);
    sandbox::Limits patient = rules_.limits;
    patient.wall_seconds *= 2;
    return Run({ProgramSide(**tester, patient), ProgramSide(**compiled, rules_.limits)}, deadline);
  }

  Judgement JudgeProgram(const Problem& problem, const Extracted& program,
                         TimePoint deadline) const {
    sandbox::Task task;
    if (program.language == Language::kCpp) {
      const auto compiled = host_->compiler().Compile(program.source, deadline);
      if (!compiled.ok()) return SandboxTrouble(compiled.status());
      if (!(*compiled)->ok) return NotCompiled(**compiled);
      task = ProgramSide(**compiled, rules_.limits).task;
    } else {
      task = ScriptTask(program.language, program.source, rules_.limits);
    }
    return RunPrograms(*host_, std::move(task), problem.cases, rules_.programs, deadline);
  }

  Judgement Run(const Sides& sides, TimePoint deadline) const {
    return RunFunctionTest(*host_, sides.tester, sides.program, deadline);
  }

  static Judgement NotCompiled(const Compiled& compiled) {
    Judgement j;
    j.total = 1;
    j.outcome = compiled.failure.outcome;
    j.own = compiled.failure.own;
    j.reason = compiled.failure.why;
    return j;
  }

  v1::ScorePart Verdict(const Judgement& j) const {
    if (!j.own) return Unscored(j.outcome, j.reason);
    const double value = rules_.fraction
                             ? static_cast<double>(j.passed) / static_cast<double>(j.total)
                             : (j.all() ? 1 : 0);
    const std::string reason =
        absl::StrCat(j.passed, " of ", j.total, j.total == 1 ? " test" : " tests",
                     j.reason.empty() ? "" : "; ", j.reason);
    if (j.outcome == v1::OUTCOME_SCORED) return Scored(value, reason);
    return rules_.score_zero ? OwnFailure(j.outcome, value, reason) : Unscored(j.outcome, reason);
  }

  const std::shared_ptr<Host> host_;
  const Rules rules_;
};

absl::StatusOr<std::unique_ptr<Scorer>> MakeCodeScorer(const std::shared_ptr<Host>& host,
                                                       Options& options) {
  Rules rules;
  std::vector<std::string> languages = LanguageNames();
  languages.insert(languages.begin(), "auto");
  rules.language = options.Choice("language", "auto", languages);
  const std::string extraction = options.Choice("extract", "auto", {"auto", "fenced", "bare"});
  rules.extraction = extraction == "fenced" ? Extraction::kFenced
                     : extraction == "bare" ? Extraction::kBare
                                            : Extraction::kAuto;
  rules.fraction = options.Choice("credit", "all", {"all", "fraction"}) == "fraction";
  rules.score_zero =
      options.Choice("failures", "score_zero", {"score_zero", "unscored"}) == "score_zero";
  rules.limits.cpu_seconds = options.Number("cpu_seconds", 10, 0.1, 3600);
  rules.limits.wall_seconds = options.Number("wall_seconds", 120, 1, 36000);
  rules.limits.memory_bytes = options.Integer("memory_mib", 1024, 16, 1 << 20) << 20;
  rules.programs.most_cases = static_cast<size_t>(options.Integer("max_tests", 0, 0, 1 << 20));
  const std::string compare = options.Choice("compare", "tokens", {"tokens", "lines", "exact"});
  rules.programs.comparison = compare == "exact"   ? Comparison::kExact
                              : compare == "lines" ? Comparison::kLines
                                                   : Comparison::kTokens;
  rules.programs.float_tolerance = options.Number("float_tolerance", 0, 0, 1);
  rules.programs.every = rules.fraction;
  return std::make_unique<CodeScorer>(host, std::move(rules));
}

std::string CacheFolder() {
  const char* chosen = std::getenv("HONE_CODE_CACHE");
  const std::string folder = chosen != nullptr && *chosen != '\0'
                                 ? std::string(chosen)
                                 : absl::StrCat("/var/tmp/hone-code-", geteuid());
  MakeDirectories(folder).IgnoreError();  // without it C++ is slow, which the compiler says
  return folder;
}

}  // namespace

void PrepareForCode(sandbox::Options& options) {
  options.readable.push_back(CacheFolder());
  // What testers and most programs import.
  for (const char* name : {"ast", "bisect", "collections", "copy", "datetime", "functools", "heapq",
                           "itertools", "json", "marshal", "math", "operator", "random", "re",
                           "string", "struct", "symtable", "types", "typing"})
    options.python_imports.push_back(name);
  for (const auto& [name, source] :
       {std::pair("_hone_wire", WirePython()), std::pair("_hone_candidate", CandidatePython()),
        std::pair("_hone_tester", TesterPython())})
    options.python_modules.push_back({name, std::string(source)});
}

absl::Status RegisterCodeScorers(Registry& registry, sandbox::Sandbox* sandbox) {
  const auto host = std::make_shared<Host>(sandbox, CacheFolder());
  return registry.Register(
      {"code", "the program in the completion passes the prompt's tests, in a sandbox", "1"},
      [host](Options& options) { return MakeCodeScorer(host, options); });
}

}  // namespace hone
