#pragma once

// Finds the program in a completion. Linear scans, no regular expressions.

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "libs/reward/code/problem.h"
#include "proto/hone/v1/reward.pb.h"

namespace hone::code {

// A block between lines of three or more backquotes; an unclosed one reaches to the end.
struct Fence {
  std::string tag;   // the first word after the backquotes, lower case; may be empty
  std::string code;  // without the fence's own indentation
};
std::vector<Fence> FindFences(absl::string_view text);

enum class Extraction {
  kAuto,    // the last fenced block of the language; without any fence, the whole text
  kFenced,  // a fenced block or nothing
  kBare,    // the whole text after the thoughts
};

// The name of the function whose head ends `prompt`; empty where there is none.
std::string PromptedFunction(absl::string_view prompt, Language language);

// Whether `code` defines function `name` at its outer level.
bool Defines(absl::string_view code, absl::string_view name, Language language);

// A whole program: a completion that only goes on from the prompt gets it put in front.
struct Extracted {
  std::string source;
  Language language = Language::kPython;
};

// None, with the reason in `why`, where there is no program: thoughts without an end, no block.
std::optional<Extracted> ExtractProgram(const v1::ScoreItem& item, const Problem& problem,
                                        Extraction extraction, std::string* why);

}  // namespace hone::code
