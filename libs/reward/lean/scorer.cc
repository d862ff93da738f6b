#include "libs/reward/lean/scorer.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/reward/template.h"

namespace hone {
namespace {

constexpr size_t kMaxCodeBytes = size_t{256} << 10;

// A text of the prompt's metadata, or nothing.
std::optional<absl::string_view> Text(const v1::Prompt& prompt, const char* name) {
  const auto field = prompt.metadata().fields().find(name);
  if (field == prompt.metadata().fields().end() ||
      field->second.kind_case() != google::protobuf::Value::kStringValue)
    return std::nullopt;
  return absl::string_view(field->second.string_value());
}

class LeanScorer final : public Scorer {
 public:
  LeanScorer(LeanVerifier* verifier, std::string header)
      : verifier_(verifier), header_(std::move(header)) {}

  bool blocks() const override { return true; }

  v1::ScorePart Score(const v1::ScoreItem& item, TimePoint deadline) const override {
    const std::optional<absl::string_view> formal = Text(item.prompt(), "formal_statement");
    if (!formal.has_value())
      return Unscored(v1::OUTCOME_BAD_REFERENCE,
                      "prompt.metadata has no text \"formal_statement\"");
    const absl::StatusOr<lean::Statement> statement =
        lean::Statement::Parse(Text(item.prompt(), "header").value_or(header_), *formal);
    if (!statement.ok())
      return Unscored(v1::OUTCOME_BAD_REFERENCE,
                      absl::StrCat("prompt.metadata.", statement.status().message()));
    const std::optional<absl::string_view> rest = AfterThinking(item);
    if (!rest.has_value()) return Unparsed("the thoughts do not end");
    const std::optional<absl::string_view> code = lean::LeanCode(*rest);
    if (!code.has_value()) return Unparsed("the last block of Lean does not end");
    if (code->size() > kMaxCodeBytes)
      return Unscored(v1::OUTCOME_BUDGET, absl::StrCat("the proof has ", code->size(),
                                                       " bytes, at most ", kMaxCodeBytes));
    const absl::StatusOr<lean::Proof> proof = lean::Proof::Make(*statement, *code);
    if (!proof.ok()) return Scored(0, proof.status().message());
    return verifier_->Verify(*proof, deadline);
  }

 private:
  LeanVerifier* const verifier_;
  const std::string header_;
};

}  // namespace

namespace lean {

std::optional<absl::string_view> LeanCode(absl::string_view text) {
  absl::string_view block = text;
  bool ends = true;
  bool inside = false;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const absl::string_view line = absl::StripAsciiWhitespace(text.substr(at, end - at));
    const size_t next = std::min(end + 1, text.size());
    if (inside && line == "```") {
      block = block.substr(0, static_cast<size_t>(text.data() + at - block.data()));
      inside = false;
      ends = true;
    } else if (!inside && absl::StartsWith(line, "```")) {
      const std::string language =
          absl::AsciiStrToLower(absl::StripAsciiWhitespace(line.substr(3)));
      if (language == "lean" || language == "lean4" || language == "lean 4") {
        block = text.substr(next);
        inside = true;
        ends = false;
      }
    }
    at = end + 1;
  }
  if (!ends) return std::nullopt;
  return block;
}

}  // namespace lean

absl::Status RegisterLeanScorers(Registry& registry, LeanVerifier* verifier) {
  ScorerInfo info{"lean", "a proof of the formal statement that Lean 4 accepts", "1"};
  if (verifier == nullptr)
    return registry.RegisterUnavailable(std::move(info), "started without a Lean verifier");
  return registry.Register(
      std::move(info), [verifier](Options& options) -> absl::StatusOr<std::unique_ptr<Scorer>> {
        return std::make_unique<LeanScorer>(verifier, options.String("header", ""));
      });
}

}  // namespace hone
