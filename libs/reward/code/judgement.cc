#include "libs/reward/code/judgement.h"

#include <csignal>
#include <cstring>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace hone::code {
namespace {

// The last line that says something: where interpreters put the exception.
absl::string_view LastLine(absl::string_view text) {
  text = absl::StripAsciiWhitespace(text);
  const size_t end = text.rfind('\n');
  return end == absl::string_view::npos ? text : text.substr(end + 1);
}

std::string SignalName(int signal) {
  const char* name = sigabbrev_np(signal);
  return name == nullptr ? absl::StrCat("signal ", signal) : absl::StrCat("SIG", name);
}

}  // namespace

Failure Explain(const sandbox::Result& result, const sandbox::Limits& limits,
                absl::string_view who) {
  switch (result.ending) {
    case sandbox::Ending::kExited: {
      const absl::string_view said = LastLine(result.stderr_data);
      return {v1::OUTCOME_SCORED, true,
              absl::StrCat(who, " ended with exit code ", result.exit_code,
                           said.empty() ? "" : ": ", Printable(said))};
    }
    case sandbox::Ending::kSignalled:
      return {v1::OUTCOME_CRASHED, true,
              absl::StrCat(who, " was killed by ", SignalName(result.signal))};
    case sandbox::Ending::kCpuLimit:
      return {v1::OUTCOME_TIMEOUT, true,
              absl::StrCat(who, " used up its ", limits.cpu_seconds, " s of CPU time")};
    case sandbox::Ending::kWallLimit:
      return {v1::OUTCOME_TIMEOUT, true,
              absl::StrCat(who, " did not end within ", limits.wall_seconds, " s")};
    case sandbox::Ending::kMemoryLimit:
      return {v1::OUTCOME_OUT_OF_MEMORY, true,
              absl::StrCat(who, " needed more than its ", limits.memory_bytes >> 20, " MiB")};
    case sandbox::Ending::kOutputLimit:
      return {v1::OUTCOME_OUTPUT_LIMIT, true,
              absl::StrCat(who, " wrote more than ", limits.output_bytes, " bytes")};
    case sandbox::Ending::kCancelled:
      break;
  }
  return {v1::OUTCOME_TIMEOUT, false, absl::StrCat("the deadline passed while ", who, " ran")};
}

Judgement Unjudged(v1::Outcome outcome, std::string reason) {
  Judgement j;
  j.outcome = outcome;
  j.own = false;
  j.reason = std::move(reason);
  return j;
}

std::string Printable(absl::string_view text, size_t most) {
  if (text.size() <= most) return absl::CHexEscape(text);
  return absl::StrCat(absl::CHexEscape(text.substr(0, most / 2)), " ... ",
                      absl::CHexEscape(text.substr(text.size() - most / 2)));
}

}  // namespace hone::code
