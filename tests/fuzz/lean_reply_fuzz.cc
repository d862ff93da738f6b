// What a Lean REPL or verifier may send: frames do not depend on how the bytes arrive, replies are
// read or refused. The first byte chooses the pieces. Proofs are scanned with the same bytes: what
// is left of a text without its comments has no comment mark and passes through unchanged.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "libs/reward/lean/reply.h"
#include "libs/reward/lean/source.h"
#include "libs/reward/lean/statement.h"

namespace {

std::vector<std::string> Frames(absl::string_view bytes, size_t piece) {
  hone::lean::FrameReader reader(1 << 16);
  std::vector<std::string> frames;
  while (!bytes.empty()) {
    const size_t n = std::min(piece, bytes.size());
    const bool fits = reader.Feed(bytes.substr(0, n)).ok();
    bytes.remove_prefix(n);
    while (auto frame = reader.Next()) frames.push_back(*frame);
    if (!fits) break;
  }
  return frames;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const absl::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::vector<std::string> frames = Frames(bytes, bytes.size() + 1);
  if (frames != Frames(bytes, size_t{data[0]} + 1)) std::abort();
  for (const std::string& frame : frames) {
    const auto reply = hone::lean::ParseReply(frame, "fuzz");
    if (reply.ok())
      for (const hone::lean::Message& message : reply->messages)
        (void)hone::lean::AxiomsAllowed(message.data, "hone_check");
  }
  (void)hone::lean::ParseRemoteResults(bytes, "fuzz");

  const absl::StatusOr<std::string> code = hone::lean::RemoveComments(bytes);
  if (code.ok()) {
    for (const char* mark : {"--", "/-", "-/"})
      if (code->find(mark) != std::string::npos) std::abort();
    const auto again = hone::lean::RemoveComments(*code);
    if (!again.ok() || *again != *code) std::abort();
    const std::vector<hone::lean::Token> tokens = hone::lean::Tokenize(*code);
    (void)hone::lean::CheckPolicy(*code, tokens);
  }
  static const auto* const statement = new hone::lean::Statement(
      *hone::lean::Statement::Parse("import Mathlib", "theorem X (n : Nat) : n = n := by"));
  const auto proof = hone::lean::Proof::Make(*statement, bytes);
  if (proof.ok()) {
    const hone::lean::Program program = proof->WithMark("m");
    if (program.axioms_line <= program.last_ours) std::abort();
  }
  (void)hone::lean::Statement::Parse("", bytes);
  return 0;
}
