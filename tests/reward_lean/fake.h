#pragma once

#include <algorithm>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/reward/lean/scorer.h"
#include "libs/reward/reward_function.h"
#include "tests/testing/test.h"

namespace hone::testing {

// fake_repl.py with `arguments`; HONE_FAKE_REPL and HONE_PYTHON are set by CMake.
inline lean::ReplOptions FakeRepl(std::vector<std::string> arguments, const std::string& log = "") {
  lean::ReplOptions options;
  options.process.argv = {HONE_PYTHON, "-I", "-S", HONE_FAKE_REPL};
  options.process.argv.insert(options.process.argv.end(), arguments.begin(), arguments.end());
  options.process.environment = {"PATH=/usr/bin:/bin", "PYTHONIOENCODING=utf-8", "LC_ALL=C.UTF-8"};
  if (!log.empty()) options.process.environment.push_back("FAKE_REPL_LOG=" + log);
  return options;
}

inline TimePoint In(double seconds) {
  return SystemClock::Get().Now() + std::chrono::milliseconds(static_cast<int64_t>(seconds * 1000));
}

// How many lines of the file are `word`.
inline int64_t Count(const std::string& file, const std::string& word) {
  std::ifstream in(file);
  int64_t n = 0;
  for (std::string line; std::getline(in, line);) n += line == word;
  return n;
}

inline const char* kHeader = "import Mathlib\n\nopen Real\n";
inline const char* kStatement = "theorem X (x : ℝ) (h : x > 0) : x ≠ 0 := by\n";

inline lean::Proof ProofOf(const std::string& body, const std::string& header = kHeader,
                           const std::string& formal = kStatement) {
  const absl::StatusOr<lean::Statement> statement = lean::Statement::Parse(header, formal);
  REQUIRE_OK(statement);
  absl::StatusOr<lean::Proof> proof = lean::Proof::Make(*statement, body);
  REQUIRE_OK(proof);
  return *std::move(proof);
}

// "SCORED 1", "TIMEOUT 0".
inline std::string Says(const v1::ScorePart& part) {
  return absl::StrCat(v1::Outcome_Name(part.outcome()).substr(8), " ", part.value());
}

}  // namespace hone::testing
