#pragma once

// The two processes of a function test, for each language that has one.

#include <string>

#include "absl/status/statusor.h"
#include "libs/reward/code/compiler.h"
#include "libs/reward/code/host.h"
#include "libs/reward/code/problem.h"
#include "libs/reward/code/relay.h"

namespace hone::code {

struct Sides {
  Side tester, program;
};

// `every`: go on after a failed test. The limits hold for each side.
Sides PythonSides(const Host& host, const Problem& problem, const std::string& source, bool every,
                  const sandbox::Limits& limits);
Sides JavaScriptSides(const Problem& problem, const std::string& source, bool every,
                      const sandbox::Limits& limits);
// All or nothing: the tests of a shell have no parts.
Sides ShellSides(const Problem& problem, const std::string& source, const sandbox::Limits& limits);

// The C++ sources of both sides. INVALID_ARGUMENT where the prompt's last line is not the head of a
// function.
struct CppSources {
  std::string tester, program;
};
absl::StatusOr<CppSources> MakeCppSources(const Problem& problem, const std::string& source,
                                          bool every);

// A task that runs a compiled program with a channel.
Side ProgramSide(const Compiled& compiled, const sandbox::Limits& limits);

}  // namespace hone::code
