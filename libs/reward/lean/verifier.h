#pragma once

// Who checks Lean proofs: REPLs on this machine or a server.

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/base/clock.h"
#include "libs/http/endpoint.h"
#include "libs/reward/lean/repl.h"
#include "libs/reward/lean/statement.h"
#include "proto/hone/v1/trajectory.pb.h"
#include "proto/hone/v1/verifiers.pb.h"

namespace hone {

// Thread-safe.
class LeanVerifier {
 public:
  virtual ~LeanVerifier() = default;

  // Blocks, at most until `deadline`. SCORED 1: proved, and a second look agreed. SCORED 0: Lean
  // says no. BAD_REFERENCE: it refuses header or statement. TIMEOUT, OUT_OF_MEMORY, CRASHED,
  // OUTPUT_LIMIT: the proof's doing. VERIFIER_UNAVAILABLE: ours; nothing is known of the proof.
  virtual v1::ScorePart Verify(const lean::Proof& proof, TimePoint deadline) = 0;
};

namespace lean {

struct LocalOptions {
  PoolOptions pool;
  Duration proof_timeout = std::chrono::seconds(60);  // for Lean, from when a REPL is there
  // Before a yes is said, another process imports what the first one made, has its kernel check
  // every declaration again and reports on the axioms.
  bool second_check = true;
  std::string directory;  // for the files between the two; empty: $TMPDIR or /tmp
};

// REPLs as child processes. They run foreign code as the user of this process: see README.md.
std::unique_ptr<LeanVerifier> MakeLocalVerifier(LocalOptions options);

struct RemoteOptions {
  std::string path = "/verify";
  Duration proof_timeout = std::chrono::seconds(60);  // asked of the server
  bool second_check = true;  // before a yes is said the server is asked again, under another mark
};

// A Kimina Lean server (https://github.com/project-numina/kimina-lean-server), or what speaks like
// it.
std::unique_ptr<LeanVerifier> MakeRemoteVerifier(std::unique_ptr<http::Endpoint> endpoint,
                                                 RemoteOptions options);

// The verifier that `spec` describes. INVALID_ARGUMENT for values out of range; the errors of
// http::FromSpec.
absl::StatusOr<std::unique_ptr<LeanVerifier>> FromSpec(const v1::LeanSpec& spec);

}  // namespace lean
}  // namespace hone
