#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/base/file.h"
#include "libs/base/random.h"
#include "libs/base/status.h"
#include "libs/reward/lean/verifier.h"
#include "libs/reward/scorer.h"

namespace hone::lean {
namespace {

constexpr int kMarkBytes = 12;

// The outcome that an error of Repl amounts to, where the proof is to blame.
v1::Outcome OutcomeOf(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kDeadlineExceeded:
      return v1::OUTCOME_TIMEOUT;
    case absl::StatusCode::kResourceExhausted:
      return v1::OUTCOME_OUT_OF_MEMORY;
    case absl::StatusCode::kAborted:
      return v1::OUTCOME_CRASHED;
    case absl::StatusCode::kOutOfRange:
      return v1::OUTCOME_OUTPUT_LIMIT;
    default:
      return v1::OUTCOME_VERIFIER_UNAVAILABLE;
  }
}

v1::ScorePart Unavailable(absl::string_view reason) {
  return Unscored(v1::OUTCOME_VERIFIER_UNAVAILABLE, reason);
}

// A file that is removed, should anybody have made it.
class TemporaryFile {
 public:
  explicit TemporaryFile(std::string path) : path_(std::move(path)) {}
  ~TemporaryFile() { unlink(path_.c_str()); }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  const std::string& path() const { return path_; }

 private:
  const std::string path_;
};

class LocalVerifier final : public LeanVerifier {
 public:
  explicit LocalVerifier(LocalOptions options)
      : options_(std::move(options)), pool_(options_.pool) {
    if (!options_.directory.empty()) return;
    const char* temporary = std::getenv("TMPDIR");
    options_.directory = temporary != nullptr && *temporary != '\0' ? temporary : "/tmp";
  }

  v1::ScorePart Verify(const Proof& proof, TimePoint deadline) override {
    // Once more in a fresh process when an old one failed: that may have been its age.
    for (const bool again : {true, false}) {
      absl::StatusOr<ReplPool::Lease> lease = pool_.Acquire(proof.statement.header, deadline);
      if (absl::IsInvalidArgument(lease.status()))
        return Unscored(v1::OUTCOME_BAD_REFERENCE, lease.status().message());
      if (!lease.ok()) return Unavailable(lease.status().message());
      const bool retry = again && lease->used();
      std::optional<v1::ScorePart> part = VerifyWith(*lease, proof, deadline, retry);
      if (part.has_value()) return *std::move(part);
    }
    return Unavailable("two REPLs failed");  // not reached: the second attempt always answers
  }

 private:
  // Nothing: the process failed in a way that a fresh one may not, and `retry`.
  std::optional<v1::ScorePart> VerifyWith(ReplPool::Lease& lease, const Proof& proof,
                                          TimePoint deadline, bool retry) {
    const TimePoint limit = std::min(deadline, SystemClock::Get().Now() + options_.proof_timeout);
    const Program program = proof.WithMark(RandomHex(kMarkBytes));
    const absl::StatusOr<Reply> reply =
        lease.repl().Run({program.text, lease.env(), !options_.second_check}, limit);
    if (!reply.ok()) {
      const v1::Outcome outcome = OutcomeOf(reply.status());
      if (retry && (outcome == v1::OUTCOME_CRASHED || outcome == v1::OUTCOME_OUT_OF_MEMORY ||
                    outcome == v1::OUTCOME_VERIFIER_UNAVAILABLE))
        return std::nullopt;
      return Unscored(outcome, reply.status().message());
    }
    if (reply->error.has_value()) {  // "Unknown environment.": it is not the process we took it for
      lease.Discard();
      if (retry) return std::nullopt;
    }
    v1::ScorePart part = Judge(program, *reply);
    if (part.outcome() != v1::OUTCOME_SCORED || part.value() < 1 || !options_.second_check)
      return part;
    if (!reply->env.has_value()) return Unavailable("the REPL names no environment for the proof");
    return Again(lease, program, *reply->env, deadline);
  }

  // The second look, in a process that has not read a line of the completion.
  v1::ScorePart Again(ReplPool::Lease& lease, const Program& program, int64_t env,
                      TimePoint deadline) {
    const TimePoint limit =
        std::min(deadline, SystemClock::Get().Now() + options_.pool.header_timeout);
    const TemporaryFile file(
        absl::StrCat(options_.directory, "/hone-lean-", program.mark, ".olean"));
    if (absl::Status s = lease.repl().Pickle(env, file.path(), limit); !s.ok())
      return Unavailable(s.message());
    absl::StatusOr<std::unique_ptr<Repl>> fresh = Repl::Start(options_.pool.repl);
    if (!fresh.ok()) return Unavailable(fresh.status().message());
    const absl::StatusOr<int64_t> read = (*fresh)->Unpickle(file.path(), limit);
    if (!read.ok()) {
      if (absl::StrContains(read.status().message(), "kernel"))
        return Scored(0, "a second process does not accept the proof");
      return Unavailable(absl::StrCat("the second check: ", read.status().message()));
    }
    const std::string name = absl::StrCat("honeAgain_", RandomHex(kMarkBytes));
    const absl::StatusOr<Reply> reply = (*fresh)->Run(
        {absl::StrCat("noncomputable def _root_.", name, " : _root_.", program.proposition,
                      " := _root_.", program.check, "\n#print axioms _root_.", name),
         *read, true},
        limit);
    if (!reply.ok())
      return Unavailable(absl::StrCat("the second check: ", reply.status().message()));
    if (reply->error.has_value() || reply->messages.size() != 1 || reply->sorries != 0)
      return Scored(0, "a second process does not accept the proof");
    const absl::StatusOr<bool> allowed = AxiomsAllowed(reply->messages[0].data, name);
    if (!allowed.ok() || !*allowed)
      return Scored(0, "a second process finds other axioms under the proof");
    return Scored(1, "proved, by two processes");
  }

  LocalOptions options_;
  ReplPool pool_;
};

}  // namespace

std::unique_ptr<LeanVerifier> MakeLocalVerifier(LocalOptions options) {
  return std::make_unique<LocalVerifier>(std::move(options));
}

}  // namespace hone::lean
