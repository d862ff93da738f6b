#include "libs/reward/code/sides.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "libs/reward/code/embedded.h"
#include "libs/reward/code/wire.h"

namespace hone::code {
namespace {

sandbox::Limits Threads(sandbox::Limits limits, int processes) {
  limits.processes = std::max(limits.processes, processes);
  return limits;
}

// The tester waits while the program computes, and may not be cut off before it.
sandbox::Limits Patient(sandbox::Limits limits) {
  limits.wall_seconds *= 2;
  return limits;
}

Side Python(absl::string_view module, std::string load, const sandbox::Limits& limits) {
  Side side;
  side.task.language = sandbox::Language::kPython;
  side.task.source = absl::StrCat("import ", module, "\n", module, ".main()\n");
  side.task.limits = limits;
  side.load = std::move(load);
  return side;
}

Side JavaScript(absl::string_view main, std::string load, const sandbox::Limits& limits) {
  Side side;
  side.task.argv = NodeCommand("main.js");
  side.task.files = {{"main.js", absl::StrCat(WireJavaScript(), "\n", main)}};
  side.task.limits = Threads(limits, 64);
  side.load = std::move(load);
  return side;
}

std::string Texts(std::initializer_list<absl::string_view> texts) {
  std::string body;
  for (absl::string_view text : texts) PutText(body, text);
  return body;
}

// The head of a C++ function: "RESULT NAME(PARAMETERS) {".
struct Head {
  std::string result, name, parameters;
  std::vector<std::string> names;  // of the parameters
};

absl::StatusOr<Head> ParseHead(absl::string_view line) {
  const auto wrong = [&] {
    return absl::InvalidArgumentError(
        absl::StrCat("expected the head of a C++ function: ", Printable(line)));
  };
  absl::string_view text = absl::StripAsciiWhitespace(line);
  if (!absl::ConsumeSuffix(&text, "{")) return wrong();
  text = absl::StripTrailingAsciiWhitespace(text);
  const size_t open = text.find('(');
  if (open == text.npos || !absl::ConsumeSuffix(&text, ")")) return wrong();
  const auto word = [](char c) { return absl::ascii_isalnum(c) || c == '_'; };
  // The last word of `s`, array brackets and a default apart.
  const auto last_word = [&](absl::string_view s) {
    s = s.substr(0, std::min(s.find('='), s.find('[')));
    s = absl::StripTrailingAsciiWhitespace(s);
    size_t begin = s.size();
    while (begin > 0 && word(s[begin - 1])) --begin;
    return s.substr(begin);
  };
  Head head;
  const absl::string_view front = absl::StripTrailingAsciiWhitespace(text.substr(0, open));
  head.name = std::string(last_word(front));
  head.result =
      std::string(absl::StripAsciiWhitespace(front.substr(0, front.size() - head.name.size())));
  head.parameters = std::string(text.substr(open + 1));
  if (head.name.empty() || head.result.empty()) return wrong();
  int depth = 0;
  size_t begin = 0;
  const absl::string_view list = head.parameters;
  for (size_t i = 0; i <= list.size(); ++i) {
    if (i < list.size()) {
      const char c = list[i];
      if (c == '<' || c == '(' || c == '{') ++depth;
      if (c == '>' || c == ')' || c == '}') --depth;
      if (c != ',' || depth > 0) continue;
    }
    const absl::string_view parameter = absl::StripAsciiWhitespace(list.substr(begin, i - begin));
    begin = i + 1;
    if (parameter.empty()) continue;
    head.names.emplace_back(last_word(parameter));
    if (head.names.back().empty()) return wrong();
  }
  return head;
}

}  // namespace

Sides PythonSides(const Host& host, const Problem& problem, const std::string& source, bool every,
                  const sandbox::Limits& limits) {
  std::string load;
  PutText(load, problem.form == Form::kCheck ? problem.prompt : "");
  PutCount(load, 'L', problem.tests.size());
  for (const std::string& test : problem.tests) PutText(load, test);
  PutText(load, problem.entry_point);
  PutCount(load, 'L', problem.own_names.size());
  for (const std::string& name : problem.own_names) PutText(load, name);
  PutBool(load, every);
  Sides sides{Python("_hone_tester", absl::StrCat(load, host.Prepared(load)), Patient(limits)),
              Python("_hone_candidate", Texts({source}), limits)};
  sides.tester.tests = std::move(load);
  return sides;
}

Sides JavaScriptSides(const Problem& problem, const std::string& source, bool every,
                      const sandbox::Limits& limits) {
  std::string load = Texts({problem.tests[0], problem.entry_point});
  PutBool(load, every);
  return {JavaScript(TesterJavaScript(), std::move(load), Patient(limits)),
          JavaScript(CandidateJavaScript(), Texts({source, problem.entry_point}), limits)};
}

Sides ShellSides(const Problem& problem, const std::string& source, const sandbox::Limits& limits) {
  absl::string_view tests = problem.tests[0];
  absl::ConsumePrefix(&tests, "}");
  const auto side = [](std::string script, const sandbox::Limits& its) {
    Side s;
    s.task.argv = {"/bin/bash", "main.sh"};
    s.task.files = {{"main.sh", std::move(script)}};
    s.task.limits = Threads(its, 64);
    s.shell = true;
    return s;
  };
  const std::string& name = problem.entry_point;
  return {
      side(absl::StrCat(WireShell(), TesterShell(), name, "() { __hone_call \"$@\"; }\n", tests),
           Patient(limits)),
      side(absl::StrCat(WireShell(), CandidateShell(), source, "\n__hone_serve ", name, "\n"),
           limits)};
}

absl::StatusOr<CppSources> MakeCppSources(const Problem& problem, const std::string& source,
                                          bool every) {
  const absl::string_view prompt = absl::StripTrailingAsciiWhitespace(problem.prompt);
  const size_t line = prompt.rfind('\n') + 1;  // npos + 1 is 0
  absl::StatusOr<Head> head = ParseHead(prompt.substr(line));
  if (!head.ok()) return head.status();
  absl::string_view tests = problem.tests[0];
  absl::ConsumePrefix(&tests, "}");
  int written = 0;
  for (size_t at = tests.find("assert("); at != tests.npos; at = tests.find("assert(", at + 1))
    ++written;

  CppSources sources;
  const std::string returned = absl::StrCat("hone_bridge::Returned<", head->result, ">");
  const std::vector<std::string>& names = head->names;
  sources.tester = absl::StrCat(
      prompt.substr(0, line), returned, " ", head->name, "(", head->parameters,
      ") {\n  return hone_bridge::Ask<", returned, ">(", absl::StrJoin(names, ", "), ");\n}\n",
      "static hone_bridge::Tests hone_tests(", every ? "true" : "false", ", ", written, ");\n",
      "#undef assert\n#define assert(...) hone_bridge::Tests::Hold("
      "[&] { return static_cast<bool>(__VA_ARGS__); }, #__VA_ARGS__)\n",
      tests);
  // The program's own main() is of no interest, and its macros end where they may.
  sources.program = absl::StrCat(
      "#define main hone_main_of_the_program\n", source, "\n#undef main\n#undef return\n",
      "namespace hone_signature {\n", head->result, " ", head->name, "(", head->parameters,
      ");\n}\n", "int main() {\n  return hone_bridge::Serve<decltype(hone_signature::", head->name,
      ")>([](auto&... a) -> ", head->result, " { return ", head->name, "(a...); });\n}\n");
  return sources;
}

Side ProgramSide(const Compiled& compiled, const sandbox::Limits& limits) {
  Side side;
  side.task.argv = {"program"};
  side.task.files = {{"program", compiled.program}};
  side.task.limits = limits;
  return side;
}

}  // namespace hone::code
