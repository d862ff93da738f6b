// The stages that learn from given text: sft and pretrain.

#include <optional>

#include "absl/strings/str_cat.h"
#include "libs/base/random.h"
#include "libs/base/status.h"
#include "libs/loop/documents.h"
#include "libs/loop/session.h"

namespace hone {

absl::Status LearnerLoop::RunSft(Session& s, const v1::StageSpec& stage) {
  const v1::SftStage& spec = stage.sft();
  std::vector<Demonstration> data;
  {
    auto scope = ledger_.Enter("load");
    HONE_ASSIGN_OR_RETURN(const std::vector<v1::Prompt> prompts,
                          source_.ReadPrompts(spec.prompt_set()));
    for (const v1::Prompt& p : prompts) {
      Demonstration d;
      const auto at = [&](const absl::Status& status) {
        return absl::Status(status.code(),
                            absl::StrCat("prompt set ", spec.prompt_set(), ": ", status.message()));
      };
      absl::StatusOr<PromptTokens> prompt = EncodePrompt(s.folder, p);
      if (!prompt.ok()) return at(prompt.status());
      absl::StatusOr<std::vector<int32_t>> response = EncodeResponse(s.folder, p);
      if (!response.ok()) return at(response.status());
      d.prompt = std::move(prompt->ids);
      d.response = *std::move(response);
      data.push_back(std::move(d));
    }
  }
  HONE_RETURN_IF_ERROR(TrainOn(data, spec, s, stage));
  if (stop_) return absl::OkStatus();
  return EvaluateAll(s, spec.gate().evaluation(), spec.gate().min_pass_at_1());
}

absl::Status LearnerLoop::RunPretrain(Session& s, const v1::StageSpec& stage) {
  const v1::PretrainStage& spec = stage.pretrain();
  std::vector<Demonstration> data;
  {
    auto scope = ledger_.Enter("load");
    if (s.folder.config.eos_ids.empty())
      return absl::InvalidArgumentError(absl::StrCat(
          s.spec.model().path(), ": no eos_token_id, with which documents are to be ended"));
    std::optional<FimTokens> fim;
    if (spec.has_fim()) {
      HONE_ASSIGN_OR_RETURN(fim, ResolveFim(spec.fim(), *s.folder.tokenizer));
    }
    HONE_ASSIGN_OR_RETURN(const std::vector<v1::Prompt> prompts,
                          source_.ReadPrompts(spec.prompt_set()));
    const PhiloxKey key = DeriveKey(KeyFromSeed(s.spec.seed()), absl::StrCat("fim/", stage.name()));
    for (size_t i = 0; i < prompts.size(); ++i) {
      RandomStream random(DeriveKey(key, i));
      HONE_ASSIGN_OR_RETURN(
          const std::vector<int32_t> document,
          EncodeDocument(absl::StrCat(prompts[i].text(), prompts[i].response()),
                         *s.folder.tokenizer, s.folder.config.eos_ids[0], fim, random));
      for (Demonstration& d : Windows(document, s.transformer->max_context()))
        data.push_back(std::move(d));
    }
  }
  v1::SftStage as_sft;
  as_sft.set_prompt_set(spec.prompt_set());
  as_sft.set_steps(spec.steps());
  as_sft.set_batch_size(spec.batch_size());
  *as_sft.mutable_optimizer() = spec.optimizer();
  *as_sft.mutable_moe() = spec.moe();
  as_sft.set_max_micro_batch_tokens(spec.max_micro_batch_tokens());
  HONE_RETURN_IF_ERROR(TrainOn(data, as_sft, s, stage));
  if (stop_) return absl::OkStatus();
  return EvaluateAll(s, "", 0);
}

absl::Status LearnerLoop::TrainOn(const std::vector<Demonstration>& data, const v1::SftStage& spec,
                                  Session& s, const v1::StageSpec& stage) {
  const auto size = static_cast<uint64_t>(data.size());
  if (size == 0)
    return absl::InvalidArgumentError(absl::StrCat("prompt set ", spec.prompt_set(), " is empty"));
  const PhiloxKey key = DeriveKey(KeyFromSeed(s.spec.seed()), absl::StrCat("sft/", stage.name()));
  std::vector<Demonstration> batch;
  while (s.position.stage_step < spec.steps() && !stop_) {
    batch.clear();
    for (int i = 0; i < spec.batch_size(); ++i) {
      const auto n = static_cast<uint64_t>(s.position.stage_step * spec.batch_size() + i);
      const Permutation order(DeriveKey(key, n / size), size);
      batch.push_back(data[order.At(n % size)]);
    }
    const TimePoint start = std::chrono::steady_clock::now();
    auto scope = ledger_.Enter("train");
    s.recalling = {};
    HONE_ASSIGN_OR_RETURN(StepValues values,
                          s.trainer->SftStep(spec, batch, s.position.stage_step));
    scope.Leave();
    values["train_seconds"] = Seconds(std::chrono::steady_clock::now() - start - s.recalling);
    const bool last = s.position.stage_step + 1 == spec.steps();
    HONE_RETURN_IF_ERROR(AfterStep(s, stage, std::move(values), /*publish=*/last, last));
  }
  return absl::OkStatus();
}

}  // namespace hone
