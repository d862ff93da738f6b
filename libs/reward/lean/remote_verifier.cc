#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/base/random.h"
#include "libs/reward/lean/verifier.h"
#include "libs/reward/scorer.h"

namespace hone::lean {
namespace {

using nlohmann::json;

class RemoteVerifier final : public LeanVerifier {
 public:
  RemoteVerifier(std::unique_ptr<http::Endpoint> endpoint, RemoteOptions options)
      : endpoint_(std::move(endpoint)), options_(std::move(options)) {}

  v1::ScorePart Verify(const Proof& proof, TimePoint deadline) override {
    v1::ScorePart part = Ask(proof, deadline);
    if (!options_.second_check || part.outcome() != v1::OUTCOME_SCORED || part.value() < 1)
      return part;
    part = Ask(proof, deadline);
    if (part.outcome() == v1::OUTCOME_SCORED && part.value() >= 1)
      part.set_reason("proved, in two runs");
    return part;
  }

 private:
  v1::ScorePart Ask(const Proof& proof, TimePoint deadline) {
    const std::string mark = RandomHex(12);
    const Program program = proof.WithMark(mark);
    const std::string& header = proof.statement.header;
    double seconds = std::chrono::duration<double>(options_.proof_timeout).count();
    if (deadline != kNoDeadline)
      seconds = std::min(
          seconds, std::chrono::duration<double>(deadline - SystemClock::Get().Now()).count());
    const json request{
        {"codes", {{{"custom_id", mark}, {"proof", absl::StrCat(header, "\n", program.text)}}}},
        {"timeout", std::max(1.0, std::ceil(seconds))}};
    const absl::StatusOr<std::string> body = endpoint_->Post(
        options_.path, request.dump(-1, ' ', false, json::error_handler_t::replace), deadline);
    if (!body.ok())
      return Unscored(absl::IsDeadlineExceeded(body.status()) ? v1::OUTCOME_TIMEOUT
                                                              : v1::OUTCOME_VERIFIER_UNAVAILABLE,
                      body.status().message());
    const absl::StatusOr<std::vector<RemoteResult>> results =
        ParseRemoteResults(*body, "the verifier's answer");
    if (!results.ok())
      return Unscored(v1::OUTCOME_VERIFIER_UNAVAILABLE, results.status().message());
    if (results->size() != 1 || results->front().id != mark)
      return Unscored(v1::OUTCOME_VERIFIER_UNAVAILABLE,
                      "the verifier answers with other proofs than it was asked about");
    const RemoteResult& result = results->front();
    if (result.error.has_value()) {
      const v1::Outcome outcome =
          absl::StrContains(*result.error, "timed out") ? v1::OUTCOME_TIMEOUT
          : absl::StrContains(*result.error, "memory")  ? v1::OUTCOME_OUT_OF_MEMORY
                                                        : v1::OUTCOME_VERIFIER_UNAVAILABLE;
      return Unscored(outcome, absl::StrCat("the verifier: ", Quoted(*result.error)));
    }
    return Judge(program, *result.reply, 1 + std::count(header.begin(), header.end(), '\n'));
  }

  const std::unique_ptr<http::Endpoint> endpoint_;
  const RemoteOptions options_;
};

}  // namespace

std::unique_ptr<LeanVerifier> MakeRemoteVerifier(std::unique_ptr<http::Endpoint> endpoint,
                                                 RemoteOptions options) {
  return std::make_unique<RemoteVerifier>(std::move(endpoint), std::move(options));
}

}  // namespace hone::lean
