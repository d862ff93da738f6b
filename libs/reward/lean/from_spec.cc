#include "libs/http/from_spec.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/reward/lean/verifier.h"

namespace hone::lean {
namespace {

// `value`, or `fallback` where it is 0. INVALID_ARGUMENT outside 0 to `most`.
absl::StatusOr<double> Within(const char* name, double value, double fallback, double most) {
  if (value >= 0 && value <= most) return value == 0 ? fallback : value;
  return absl::InvalidArgumentError(
      absl::StrCat("lean.", name, " is ", value, ", expected 0 to ", most));
}

Duration Seconds(double seconds) {
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
}

}  // namespace

absl::StatusOr<std::unique_ptr<LeanVerifier>> FromSpec(const v1::LeanSpec& spec) {
  constexpr double kDay = 86400;
  if (spec.has_server() == !spec.command().empty())
    return absl::InvalidArgumentError("lean: expected either a command or a server");
  HONE_ASSIGN_OR_RETURN(const double proof,
                        Within("proof_timeout_seconds", spec.proof_timeout_seconds(), 60, kDay));
  if (spec.has_server()) {
    HONE_ASSIGN_OR_RETURN(auto endpoint, http::FromSpec(spec.server(), "lean.server"));
    return MakeRemoteVerifier(std::move(endpoint), {.proof_timeout = Seconds(proof),
                                                    .second_check = !spec.single_check()});
  }
  for (const std::string& variable : spec.environment())
    if (variable.find('=') == std::string::npos)
      return absl::InvalidArgumentError(
          absl::StrCat("lean.environment has \"", variable, "\", expected NAME=value"));
  LocalOptions options;
  options.proof_timeout = Seconds(proof);
  options.second_check = !spec.single_check();
  ProcessOptions& process = options.pool.repl.process;
  process.argv.assign(spec.command().begin(), spec.command().end());
  process.directory = spec.directory();
  process.environment.assign(spec.environment().begin(), spec.environment().end());
  HONE_ASSIGN_OR_RETURN(const double gib, Within("memory_gib", spec.memory_gib(), 8, 4096));
  process.memory_bytes = static_cast<int64_t>(gib * (int64_t{1} << 30));
  HONE_ASSIGN_OR_RETURN(const double processes, Within("processes", spec.processes(), 2, 1024));
  options.pool.processes = static_cast<int>(processes);
  HONE_ASSIGN_OR_RETURN(const double uses, Within("max_uses", spec.max_uses(), 200, 1e6));
  options.pool.max_uses = static_cast<int>(uses);
  HONE_ASSIGN_OR_RETURN(const double header,
                        Within("header_timeout_seconds", spec.header_timeout_seconds(), 180, kDay));
  options.pool.header_timeout = Seconds(header);
  return MakeLocalVerifier(std::move(options));
}

}  // namespace hone::lean
