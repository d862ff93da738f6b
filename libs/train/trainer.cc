#include "libs/train/trainer.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/model/lora.h"
#include "libs/model/memory.h"
#include "libs/ops/embedding.h"
#include "libs/ops/head.h"
#include "libs/train/schedule.h"
#include "libs/train/scored.h"

namespace hone {

Trainer::Trainer(const Transformer& transformer, const Options& options)
    : transformer_(transformer),
      options_(options),
      vocab_(options.vocab > 0 ? options.vocab : transformer.config().vocab),
      device_(transformer.table(), options.threads),
      arena_(transformer.table()),
      weights_(std::make_shared<Weights>(transformer.layout(), options.dtype, transformer.table())),
      gradients_(transformer.layout().trained_size(), DType::kF32, transformer.table()) {
  WeightsChanged();
}

void Trainer::WeightsChanged() {
  arena_.Reset();
  MergeAdapters(device_, arena_, transformer_.layout(), *weights_);
  optimizer_.reset();  // first: there is memory for one
  optimizer_ = std::make_unique<Optimizer>(device_, transformer_.layout(), *weights_);
  device_.Synchronize();
}

void Trainer::BeginStage(bool with_reference) {
  optimizer_->Reset(device_);
  device_.Synchronize();  // checkpoints are read and written on streams of their own
  reference_.reset();
  if (!with_reference) return;
  reference_ = std::make_unique<Weights>(transformer_.layout(), *weights_);
  RefreshReference();
}

void Trainer::RefreshReference() {
  CopyTrained(device_, *weights_, *reference_);
  device_.Synchronize();
}

void Trainer::ReferenceChanged() {
  if (reference_ == nullptr) return;
  arena_.Reset();
  MergeAdapters(device_, arena_, transformer_.layout(), *reference_);
  device_.Synchronize();
}

int64_t Trainer::HeadRows() const {
  return std::max<int64_t>(1, options_.head_chunk_bytes / (transformer_.config().vocab * 4));
}

int64_t Trainer::BytesOf(const MicroBatch& m) const {
  const TrainingMemory memory =
      MemoryOfTraining(transformer_.config(), {.dtype = options_.dtype,
                                               .micro_batch_tokens = m.batch.tokens(),
                                               .scored_tokens = std::ssize(m.targets),
                                               .checkpointing = options_.checkpointing,
                                               .head_chunk_bytes = options_.head_chunk_bytes});
  int64_t adapted = 0;  // gradients of a layer's merged tensors
  for (const ParameterLayout::Layer& layer : transformer_.layout().layers())
    adapted = std::max(adapted, 4 * layer.merged_size);
  // What is not counted there: index arrays, and the ends of arrays.
  constexpr double kMore = 1.02;
  return adapted + static_cast<int64_t>(kMore * (memory.activations + memory.head));
}

Trainer::Scored Trainer::ForwardScored(const Weights& weights, const MicroBatch& m,
                                       SavedForward& saved) {
  arena_.Reset();
  arena_.Reserve(BytesOf(m));
  Scored s;
  s.hidden = transformer_.Forward(device_, arena_, weights, m.batch, saved);
  const auto count = static_cast<int64_t>(m.targets.size());
  s.rows = arena_.NewMatrix(count, s.hidden.cols, s.hidden.dtype);
  std::tie(s.scored_rows, s.targets, s.inv_temperature) =
      device_.Upload(arena_, m.scored_rows, m.targets, m.inv_temperature);
  ops::GatherRows(device_, s.hidden, s.scored_rows, s.rows);
  s.logp = arena_.NewArray<float>(count);
  s.lse = arena_.NewArray<float>(count);
  s.entropy = arena_.NewArray<float>(count);
  s.coefficient = arena_.NewArray<float>(count);
  s.dentropy = arena_.NewArray<float>(count);
  return s;
}

void Trainer::ForwardBackward(const MicroBatch& m, double balance_alpha, ExpertLoad& load,
                              const Loss& loss) {
  SavedForward saved{.checkpointing = options_.checkpointing};
  const Scored s = ForwardScored(*weights_, m, saved);
  const std::vector<float> zeros(m.targets.size(), 0);
  ForLoss rows{zeros, zeros, zeros, zeros};
  const ParameterLayout& layout = transformer_.layout();
  const Matrix drows = arena_.NewMatrix(s.rows.rows, s.rows.cols, s.rows.dtype);
  ops::HeadLogprobBackward(
      device_, arena_, s.head(), weights_->parameters.View(layout.head()), vocab_, HeadRows(),
      s.coefficient, s.dentropy,
      [&] {
        const auto n = std::ssize(m.targets);
        device_.Read(rows.logp.data(), s.logp, n);
        device_.Read(rows.entropy.data(), s.entropy, n);
        loss(rows);
        device_.Write(s.coefficient, rows.coefficient.data(), n);
        device_.Write(s.dentropy, rows.dentropy.data(), n);
      },
      drows, layout.adapted() ? Matrix{} : gradients_.View(layout.head()));
  transformer_.AddLoad(device_, saved, load);
  // Rows that predict several targets (a shared prompt's last) collect all their gradients.
  const Matrix sum = arena_.NewMatrix(m.batch.tokens(), s.rows.cols, DType::kF32);
  device_.Zero(sum.data, sum.rows * sum.cols * 4);
  ops::EmbeddingBackward(device_, drows, s.scored_rows, sum);
  Matrix dhidden = sum;
  if (s.hidden.dtype != DType::kF32) {
    dhidden = arena_.NewMatrix(sum.rows, sum.cols, s.hidden.dtype);
    device_.Run(device_.table().cast, kernels::CastArgs{.x = sum.data,
                                                        .y = dhidden.data,
                                                        .n = sum.rows * sum.cols,
                                                        .from = DType::kF32,
                                                        .to = dhidden.dtype});
  }
  transformer_.Backward(device_, arena_, *weights_, m.batch, saved, dhidden, balance_alpha,
                        gradients_);
}

StepValues Trainer::Apply(const v1::OptimizerSpec& spec, const v1::MoeSpec& moe,
                          double learning_rate, const ExpertLoad& load) {
  StepValues metrics;
  arena_.Reset();
  if (options_.before_change) options_.before_change();
  const double norm = optimizer_->Step(device_, arena_, spec, learning_rate, gradients_, *weights_);
  MergeAdapters(device_, arena_, transformer_.layout(), *weights_);
  metrics["grad_norm"] = norm;
  metrics["skipped_updates"] = std::isfinite(norm) ? 0 : 1;
  if (transformer_.config().moe.experts > 0) metrics["moe_max_violation"] = MaxViolation(load);
  if (moe.bias_update_rate() > 0 && std::isfinite(norm))
    UpdateRoutingBiases(device_, arena_, transformer_.layout(), load, moe.bias_update_rate(),
                        *weights_);
  device_.Synchronize();  // whoever is given the weights reads them on a stream of its own
  return metrics;
}

std::vector<std::vector<float>> Trainer::Logprobs(const Weights& weights,
                                                  std::span<const TrainSequence> sequences,
                                                  int64_t max_tokens) {
  std::vector<std::vector<float>> out(sequences.size());
  for (const MicroBatch& m : Pack(sequences, max_tokens)) {
    SavedForward saved{.checkpointing = ActivationCheckpointing::kLayer};  // nothing comes back
    const Scored s = ForwardScored(weights, m, saved);
    ops::HeadLogprob(device_, arena_, s.head(),
                     weights.parameters.View(transformer_.layout().head()), vocab_, HeadRows());
    std::vector<float> logp(m.targets.size());
    device_.Read(logp.data(), s.logp, static_cast<int64_t>(logp.size()));
    for (const MicroBatch::Item& item : m.items) {
      const auto i = static_cast<size_t>(item.sequence);
      const auto n = static_cast<int64_t>(sequences[i].completion.size());
      out[i].assign(logp.begin() + item.begin, logp.begin() + item.begin + n);
    }
  }
  return out;
}

absl::StatusOr<StepValues> Trainer::SftStep(const v1::SftStage& spec,
                                            std::span<const Demonstration> demonstrations,
                                            int64_t step) {
  std::vector<TrainSequence> sequences;
  int64_t response_tokens = 0;
  for (size_t i = 0; i < demonstrations.size(); ++i) {
    const Demonstration& d = demonstrations[i];
    const auto length = static_cast<int64_t>(d.prompt.size() + d.response.size());
    if (d.prompt.empty() || d.response.empty() || length > transformer_.max_context())
      return absl::InvalidArgumentError(absl::StrCat(
          "demonstration ", i, " has ", d.prompt.size(), " prompt and ", d.response.size(),
          " response tokens; both must be there and fit the context of ",
          transformer_.max_context()));
    sequences.push_back(
        {.group = static_cast<int64_t>(i), .prompt = d.prompt, .completion = d.response});
    response_tokens += static_cast<int64_t>(d.response.size());
  }
  if (sequences.empty()) return absl::InvalidArgumentError("no demonstrations");

  device_.Zero(gradients_.data(), gradients_.bytes());
  ExpertLoad load = NewExpertLoad(transformer_.config());
  double loss = 0, entropy = 0;
  int64_t tokens = 0;
  const double weight = 1.0 / static_cast<double>(response_tokens);
  const int64_t max_tokens =
      spec.max_micro_batch_tokens() > 0 ? spec.max_micro_batch_tokens() : 4096;
  const double alpha = spec.moe().sequence_balance() / static_cast<double>(sequences.size());
  for (const MicroBatch& m : Pack(sequences, max_tokens)) {
    ForwardBackward(m, alpha, load, [&](ForLoss& rows) {
      for (size_t i = 0; i < rows.logp.size(); ++i) {
        loss -= weight * rows.logp[i];
        entropy += weight * rows.entropy[i];
        rows.coefficient[i] = static_cast<float>(-weight);
      }
    });
    tokens += m.batch.tokens();
  }
  const double rate = LearningRate(spec.optimizer(), step, spec.steps());
  StepValues metrics = Apply(spec.optimizer(), spec.moe(), rate, load);
  metrics["loss"] = loss;
  metrics["entropy"] = entropy;
  metrics["learning_rate"] = rate;
  metrics["batch_tokens"] = static_cast<double>(tokens);
  metrics["completion_tokens"] = static_cast<double>(response_tokens);
  return metrics;
}

}  // namespace hone
