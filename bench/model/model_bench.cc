// model_bench [f32|bf16] [THREADS] [train|checkpointing|decode|merge|context|head|logprobs|all]
// [cpu|cuda] [FOLDER]: the model of a Hugging Face folder, or a DeepSeek-V3-shaped one of about 100
// M parameters with random weights.
//
// training: model FLOPs per second of a packed step, over the peak of a 2048^3 product of the same
// dtype
//
// checkpointing: seconds and activations of one forward and backward pass of 4096 tokens, for each
// policy of activation checkpointing in turn
//
// decoding: tokens per second of 64 sequences, over the lower of two bounds: every weight read once
// per step from memory, and the model's FLOPs at that peak
//
// merge: seconds to merge adapters of rank 16 of all linear modules, once per weights push
//
// context (only when asked for): seconds of a forward and of a backward pass through the first two
// layers, and their activations, of 8192 tokens in sequences of 512, 2048 and 8192
//
// head (only when asked for): seconds of logprobs and their gradient with the head of Qwen2.5-0.5B,
// whole and in pieces, whose logits are computed twice
//
// logprobs (only when asked for): of the tokens of Probe, one per line

#include <chrono>
#include <cstdio>
#include <cstring>

#include "libs/base/random.h"
#include "libs/engine/engine.h"
#include "libs/model/load.h"
#include "libs/model/lora.h"
#include "libs/ops/head.h"
#include "libs/train/trainer.h"

namespace hone {
namespace {

constexpr const char* kConfig =
    R"({"model_type": "deepseek_v3", "hidden_size": 768, "num_hidden_layers": 8,
  "num_attention_heads": 12, "num_key_value_heads": 12, "q_lora_rank": null, "kv_lora_rank": 256,
  "qk_nope_head_dim": 64, "qk_rope_head_dim": 32, "v_head_dim": 64, "first_k_dense_replace": 1,
  "intermediate_size": 2048, "moe_intermediate_size": 384, "n_routed_experts": 8, "num_experts_per_tok": 2,
  "n_shared_experts": 2, "routed_scaling_factor": 1.0, "n_group": 1, "topk_group": 1, "norm_topk_prob": true,
  "vocab_size": 16384, "max_position_embeddings": 2048, "rms_norm_eps": 1e-6, "rope_theta": 10000.0,
  "tie_word_embeddings": false, "eos_token_id": 1})";

double Now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// FLOP per second of C = A B^T, 2048^3, the best of several.
double GemmPeak(const Device& on, DType dtype) {
  constexpr int64_t kN = 2048;
  const Memory a(kN * kN * 4, on.table()), b(kN * kN * 4, on.table()), c(kN * kN * 4, on.table());
  double best = 0;
  for (int i = 0; i < 8; ++i) {
    const double start = Now();
    on.Run(on.table().gemm, kernels::GemmArgs{.a = a.data(),
                                              .b = b.data(),
                                              .c = c.data(),
                                              .m = kN,
                                              .n = kN,
                                              .k = kN,
                                              .lda = kN,
                                              .ldb = kN,
                                              .ldc = kN,
                                              .dtype = dtype,
                                              .c_dtype = DType::kF32});
    on.Synchronize();
    best = std::max(best, 2.0 * kN * kN * kN / (Now() - start));
  }
  return best;
}

// Bytes per second of reading memory, the best of several.
double ReadBandwidth(const Device& on) {
  const int64_t bytes = int64_t{512} << 20;
  const Memory memory(bytes, on.table()), sum(sizeof(double), on.table());
  double best = 0;
  for (int i = 0; i < 5; ++i) {
    const double start = Now();
    on.Run(on.table().sum_squares,
           kernels::SumSquaresArgs{.x = static_cast<const float*>(memory.data()),
                                   .n = bytes / 4,
                                   .out = static_cast<double*>(sum.data())});
    on.Synchronize();
    best = std::max(best, static_cast<double>(bytes) / (Now() - start));
  }
  return best;
}

std::vector<int32_t> Tokens(RandomStream& random, const ModelConfig& config, int64_t n) {
  const auto ids_used = static_cast<uint64_t>(std::min<int64_t>(16000, config.vocab - 2));
  std::vector<int32_t> ids;
  for (int64_t i = 0; i < n; ++i) ids.push_back(static_cast<int32_t>(2 + random.Below(ids_used)));
  return ids;
}

// The sequence that compare_transformers.py computes, too.
std::vector<int32_t> Probe(const ModelConfig& config) {
  std::vector<int32_t> ids;
  for (int64_t i = 0; i < 128; ++i)
    ids.push_back(static_cast<int32_t>(2 + (7 * i * i + 3 * i) % (config.vocab - 2)));
  return ids;
}

void Logprobs(Trainer& trainer, const ModelConfig& config) {
  const std::vector<int32_t> ids = Probe(config);
  const std::span<const int32_t> all(ids);
  const TrainSequence sequence{.prompt = all.first(1), .completion = all.subspan(1)};
  const auto logprobs = trainer.Logprobs(trainer.weights(), {&sequence, 1}, 4096);
  for (const float logp : logprobs[0]) std::printf("%.9g\n", static_cast<double>(logp));
}

void Train(Trainer& trainer, const ModelConfig& config, double peak) {
  RandomStream random(uint64_t{1});
  v1::SftStage sft;
  sft.set_steps(100);
  sft.set_max_micro_batch_tokens(4096);
  sft.mutable_optimizer()->set_learning_rate(1e-4);
  double best = 0;
  for (int64_t step = 0; step < 4; ++step) {
    std::vector<Demonstration> batch;
    for (int i = 0; i < 8; ++i)
      batch.push_back({Tokens(random, config, 16), Tokens(random, config, 497)});
    const double start = Now();
    const double n = trainer.SftStep(sft, batch, step).value()["batch_tokens"];
    best = std::max(best, n / (Now() - start));
  }
  const double flops = config.TrainingFlops(256);
  std::printf("training: %.0f tokens/s, %.0f GFLOP/s, %.1f %% of the GEMM peak\n", best,
              best * flops / 1e9, 100 * best * flops / peak);
}

// `count` sequences of `length` tokens.
Batch PackedBatch(const ModelConfig& config, int32_t count, int32_t length) {
  RandomStream random(uint64_t{3});
  Batch batch;
  batch.ids = Tokens(random, config, int64_t{count} * length);
  batch.q_start = batch.kv_start = batch.cluster_start = {0};
  for (int32_t t = 0; t < count * length; ++t) {
    batch.positions.push_back(t % length);
    batch.kv_rows.push_back(t);
  }
  for (int32_t s = 1; s <= count; ++s) {
    batch.q_start.push_back(s * length);
    batch.kv_start.push_back(s * length);
    batch.cluster_start.push_back(s);
  }
  return batch;
}

void Checkpointing(const Transformer& model, const Weights& weights, const Device& on) {
  const Batch batch = PackedBatch(model.config(), 8, 512);
  ParameterArena gradients(model.layout().size(), DType::kF32, on.table());
  struct Policy {
    const char* name;
    ActivationCheckpointing checkpointing;
    double seconds = 1e9;
    int64_t bytes = 0;
  };
  Policy policies[] = {{"none", ActivationCheckpointing::kNone},
                       {"feed_forward", ActivationCheckpointing::kFeedForward},
                       {"layer", ActivationCheckpointing::kLayer}};
  for (int round = 0; round < 4; ++round)
    for (Policy& p : policies) {
      Arena arena(on.table());
      double start = 0;
      for (int i = 0; i < 2; ++i) {  // the first finds the arena's memory
        arena.Reset();
        start = Now();
        SavedForward saved{.checkpointing = p.checkpointing};
        const Matrix hidden = model.Forward(on, arena, weights, batch, saved);
        model.Backward(on, arena, weights, batch, saved, hidden, 0, gradients);
        on.Synchronize();
      }
      p.seconds = std::min(p.seconds, Now() - start);
      p.bytes = arena.peak();
    }
  for (const Policy& p : policies)
    std::printf("activation checkpointing %s: %.2f s (%.2f times none), activations %.0f MB\n",
                p.name, p.seconds, p.seconds / policies[0].seconds,
                static_cast<double>(p.bytes) / 1e6);
}

void Context(ModelConfig config, DType dtype, const Device& on) {
  constexpr int32_t kTokens = 8192;
  config.layers = std::min<int64_t>(config.layers, 2);
  config.sparse.resize(static_cast<size_t>(config.layers));
  const Transformer model(config, kTokens, {}, on.table());
  Weights weights(model.layout(), dtype, on.table());
  InitializeWeights(model.layout(), 1, weights);
  ParameterArena gradients(model.layout().size(), DType::kF32, on.table());
  Arena arena(on.table());
  const auto seconds = [&](int32_t length) {
    const Batch batch = PackedBatch(config, kTokens / length, length);
    arena.Reset();
    const double start = Now();
    SavedForward saved;
    const Matrix hidden = model.Forward(on, arena, weights, batch, saved);
    on.Synchronize();
    const double middle = Now();
    model.Backward(on, arena, weights, batch, saved, hidden, 0, gradients);
    on.Synchronize();
    return std::pair(middle - start, Now() - middle);
  };
  seconds(512);  // finds the arena's memory
  for (const int32_t length : {512, 2048, 8192}) {
    const auto [forward, backward] = seconds(length);
    std::printf("context %d: forward %.2f s, backward %.2f s\n", length, forward, backward);
  }
  std::printf("activations: %.1f kB per token\n",
              static_cast<double>(arena.peak()) / 1e3 / kTokens);
}

// Logprobs and their gradient with the head of Qwen2.5-0.5B, its logits in pieces of some rows.
void Head(DType dtype, const Device& on) {
  constexpr int64_t kRows = 1024, kWidth = 896, kVocab = 151936;
  const kernels::Table& table = on.table();
  const ParameterArena hidden(kRows * kWidth, dtype, table), dhidden(kRows * kWidth, dtype, table),
      head(kVocab * kWidth, dtype, table), dhead(kVocab * kWidth, DType::kF32, table);
  const auto view = [](const ParameterArena& x, int64_t rows) {
    return x.View(ParameterLayout::Span{0, rows, kWidth});
  };
  Arena arena(table);
  const std::vector<int32_t> ids(kRows, 3);
  const std::vector<float> ones(kRows, 1);
  const auto [targets, inverse] = on.Upload(arena, ids, ones);
  const ops::HeadRows rows{view(hidden, kRows),
                           targets,
                           inverse,
                           arena.NewArray<float>(kRows),
                           arena.NewArray<float>(kRows),
                           arena.NewArray<float>(kRows)};
  for (const int64_t max_rows : {1024, 512, 128}) {
    double best = 1e9;
    for (int i = 0; i < 3; ++i) {
      const double start = Now();
      ops::HeadLogprobBackward(
          on, arena, rows, view(head, kVocab), kVocab, max_rows, inverse, nullptr, [] {},
          view(dhidden, kRows), view(dhead, kVocab));
      on.Synchronize();
      best = std::min(best, Now() - start);
    }
    std::printf("head, %lld rows of logits at a time: %.2f s for %lld rows\n",
                static_cast<long long>(max_rows), best, static_cast<long long>(kRows));
  }
}

void Decode(const Transformer& model, const Weights& weights, DType dtype, int threads, double peak,
            double bandwidth) {
  RandomStream random(uint64_t{2});
  Engine engine(model, nullptr, {.threads = threads, .dtype = dtype},
                [](const GroupRequest&, v1::Completion) {});
  engine.SetWeights({&weights, [](const Weights*) {}}, 1, InFlight::kKeep);
  for (uint64_t i = 0; i < 64; ++i) {
    GroupRequest r{.id = i,
                   .prompt = Tokens(random, model.config(), 128),
                   .seed = 1,
                   .issue = static_cast<int64_t>(i)};
    r.sampling.set_max_new_tokens(64);
    const absl::Status status = engine.Submit(std::move(r));
    HONE_CHECK(status.ok()) << status.ToString();
  }
  while (engine.generated_tokens() < 64 * 4) engine.Step();  // past prefill
  double rate = 0;                                           // the best of windows of 6 steps
  while (engine.running() == 64) {
    const int64_t before = engine.generated_tokens();
    const double start = Now();
    for (int i = 0; i < 6; ++i) engine.Step();
    rate =
        std::max(rate, static_cast<double>(engine.generated_tokens() - before) / (Now() - start));
  }
  const double read = 64 * bandwidth / static_cast<double>(weights.parameters.bytes());
  const double compute = peak / model.config().ForwardFlops(160);
  std::printf(
      "decoding, 64 sequences: %.0f tokens/s; bounds: reading %.0f, computing %.0f; %.1f %% of the "
      "lower; %lld steps from recordings\n",
      rate, read, compute, 100 * rate / std::min(read, compute),
      static_cast<long long>(engine.replayed_steps()));
}

void Merge(const ModelConfig& config, const Weights& base, const Device& on) {
  const ParameterLayout layout(config,
                               {.rank = 16, .alpha = 32, .targets = {LoraConfig::kAllLinear}});
  Weights weights(layout, base);
  InitializeAdapters(layout, 1, weights);
  Arena arena(on.table());
  double best = 1e9;
  for (int i = 0; i < 5; ++i) {
    const double start = Now();
    MergeAdapters(on, arena, layout, weights);
    on.Synchronize();
    best = std::min(best, Now() - start);
  }
  std::printf(
      "merge: %.3f s for %.1f M weights that have an adapter, of rank 16; the adapters are %.1f "
      "MB\n",
      best, static_cast<double>(layout.merged_size()) / 1e6,
      static_cast<double>(layout.adapters_size()) * 4 / 1e6);
}

int Main(DType dtype, int threads, const char* part, DeviceKind kind, const char* folder) {
  const auto table = FindTable(kind);
  HONE_CHECK(table.ok()) << table.status().ToString();
  const auto parsed = folder == nullptr ? ParseModelConfig(kConfig) : LoadModelConfig(folder);
  HONE_CHECK(parsed.ok()) << parsed.status().ToString();
  const ModelConfig& config = *parsed;
  const Transformer model(config, 0, {}, **table);
  Trainer trainer(model, {.threads = threads, .dtype = dtype});
  if (folder == nullptr) {
    InitializeWeights(model.layout(), 1, trainer.weights());
  } else {
    const auto reader = HfReader::Open(folder);
    HONE_CHECK(reader.ok()) << reader.status().ToString();
    const absl::Status status = LoadWeights(*reader, config, model.layout(), trainer.weights());
    HONE_CHECK(status.ok()) << status.ToString();
  }
  trainer.WeightsChanged();
  if (std::strcmp(part, "logprobs") == 0) {
    Logprobs(trainer, config);
    return 0;
  }
  const Device on(**table, threads);
  const double peak = GemmPeak(on, dtype);
  const double bandwidth = ReadBandwidth(on);
  std::printf("%s, %s, %d threads, %.1f M parameters; GEMM peak %.0f GFLOP/s, read %.1f GB/s\n",
              (*table)->name, dtype == DType::kF32 ? "f32" : "bf16", threads,
              static_cast<double>(model.layout().size()) / 1e6, peak / 1e9, bandwidth / 1e9);

  const auto asked = [&](const char* name) {
    return std::strcmp(part, "all") == 0 || std::strcmp(part, name) == 0;
  };
  if (asked("train")) Train(trainer, config, peak);
  if (asked("checkpointing")) Checkpointing(model, trainer.weights(), on);
  if (asked("decode")) Decode(model, trainer.weights(), dtype, threads, peak, bandwidth);
  if (asked("merge")) Merge(config, trainer.weights(), on);
  if (std::strcmp(part, "context") == 0) Context(config, dtype, on);
  if (std::strcmp(part, "head") == 0) Head(dtype, on);
  return 0;
}

}  // namespace
}  // namespace hone

int main(int argc, char** argv) {
  const bool f32 = argc > 1 && std::strcmp(argv[1], "f32") == 0;
  const int threads = argc > 2 ? std::atoi(argv[2]) : 1;
  const bool cuda = argc > 4 && std::strcmp(argv[4], "cuda") == 0;
  return hone::Main(
      f32 ? hone::DType::kF32 : hone::DType::kBF16, threads, argc > 3 ? argv[3] : "all",
      cuda ? hone::DeviceKind::kCuda : hone::DeviceKind::kCpu, argc > 5 ? argv[5] : nullptr);
}
