#pragma once

// What a prompt says about how its completions are tested. README.md lists the fields of each form.

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "proto/hone/v1/trajectory.pb.h"

namespace hone::code {

enum class Language { kPython, kCpp, kJavaScript, kShell };

// "python", "cpp", "javascript", "shell", in the order of the enum.
const std::vector<std::string>& LanguageNames();
// By any name that is in use for it ("py", "c++", "js", "bash" ...), case ignored.
bool LanguageByName(absl::string_view name, Language* language);

enum class Form {
  kCheck,       // HumanEval: `test` defines check(candidate)
  kAssertions,  // MBPP: a list of assert statements
  kMultiPl,     // MultiPL-E: tests in the language of the prompt
  kPrograms,    // programs that read stdin and write stdout
};

struct Case {
  std::string input;
  std::string output;
};

struct Problem {
  Form form = Form::kPrograms;
  Language language = Language::kPython;
  bool any_language = false;  // kPrograms without a language: the completion's fence says it
  std::string prompt;         // the code that a bare completion goes on from
  std::string entry_point;    // the function under test; kAssertions: may be empty
  std::vector<std::string> own_names;  // kAssertions: what the reference defines
  std::vector<std::string> tests;      // source texts
  std::vector<std::string> stop;       // kMultiPl: where a bare completion ends
  std::vector<Case> cases;
};

// INVALID_ARGUMENT, with the field and what was expected of it, for a prompt without usable tests.
// `language`: a name from LanguageNames(), or "auto".
absl::StatusOr<Problem> ReadProblem(const v1::Prompt& prompt, absl::string_view language);

}  // namespace hone::code
