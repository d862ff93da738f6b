#pragma once

#include <sys/wait.h>

#include <cstdio>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/testing/test.h"

namespace hone::sandbox {

struct SuiteOutcome {
  int code = -1;
  std::string output;
};

// Runs sandbox_escape_suite. In an emulated pod nothing may be traced, which is how
// AddressSanitizer would look for leaks.
inline SuiteOutcome RunSuite(const std::string& arguments) {
  SuiteOutcome outcome;
  FILE* pipe = popen(absl::StrCat("ASAN_OPTIONS=detect_leaks=0 ", HONE_ESCAPE_SUITE, " ",
                                  HONE_ESCAPES, " ", arguments, " 2>&1")
                         .c_str(),
                     "r");
  REQUIRE(pipe != nullptr);
  char buffer[4096];
  while (size_t n = fread(buffer, 1, sizeof(buffer), pipe)) outcome.output.append(buffer, n);
  outcome.code = WEXITSTATUS(pclose(pipe));
  return outcome;
}

inline void ExpectNoEscape(const std::string& arguments) {
  const SuiteOutcome o = RunSuite(arguments);
  if (o.code == 77) HONE_SKIP(o.output);
  INFO(o.output);
  CHECK(o.code == 0);
  CHECK(absl::StrContains(o.output, " 0 escapes"));
}

}  // namespace hone::sandbox
