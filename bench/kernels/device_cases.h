#pragma once

// Op cases of the sizes that a large GPU sees: far more bytes than its caches hold.

#include "tests/kernels/cases/attention_backward.h"
#include "tests/kernels/cases/head.h"
#include "tests/kernels/cases/moe.h"
#include "tests/kernels/cases/optimizer.h"
#include "tests/kernels/cases/rope.h"
#include "tests/kernels/cases/rows.h"

namespace hone::kernels::testing {

inline std::vector<Case> DeviceBenchCases() {
  const RouteShape deepseek{16384, 256, 8, Scoring::kSigmoid,      true,
                            true,  8,   4, GroupScore::kTopTwoSum, 2.5f};
  return {RmsNormCase({32768, 1, 2048, 0}),
          RmsNormCase({16384, 1, 7168, 0}),
          RmsNormCase({16384, 32, 128, 0}),
          RmsNormBackwardCase({32768, 1, 2048, 0}),
          RopeCase({16384, 32, 128, 0, false, false}),
          SwigluCase(16384, 4096, false),
          SwigluCase(16384, 4096, true),
          MoveCase(Move::kGather, 16384, 4096),
          MoveCase(Move::kEmbedding, 16384, 2048),
          RouteCase(deepseek),
          CombineCase(8192, 8, 2048, true, true, false),
          CombineCase(8192, 8, 2048, true, false, true),
          LogprobCase({256, 129280}),
          SampleCase({256, 129280}, true),
          SampleCase({256, 129280}),
          AdamWCase(64 << 20),
          AdamWCase(64 << 20, true),
          CastCase(64 << 20),
          SumSquaresCase(128 << 20)};
}

// Heads of DeepSeek-V2-Lite (absorbed and not) and V3, and of Qwen3.
inline std::vector<Case> DeviceAttentionCases() {
  const auto each = [](int64_t sequences, int64_t q, int64_t kv) {
    return std::vector<Sequence>(static_cast<size_t>(sequences), {q, kv});
  };
  const auto latent = [](std::string name, std::vector<Sequence> sequences, int64_t heads) {
    return AttentionCase(
        {std::move(name), std::move(sequences), heads, 1, 576, 512, true, 0, true});
  };
  const auto grouped = [](std::string name, std::vector<Sequence> sequences) {
    return AttentionCase({std::move(name), std::move(sequences), 32, 8, 128, 128, false, 0, true});
  };
  return {latent("decode 256 x 1024, MLA 16x576/512", each(256, 1, 1024), 16),
          latent("decode 128 x 1024, MLA 128x576/512", each(128, 1, 1024), 128),
          // Fewer sequences than multiprocessors, which share their splits.
          latent("decode 8 x 16384, MLA 16x576/512", each(8, 1, 16384), 16),
          latent("prefill 4096, MLA 16x576/512", each(1, 4096, 4096), 16),
          latent("train 8 x 1024, MLA 16x576/512", each(8, 1024, 1024), 16),
          grouped("decode 256 x 1024, GQA 32/8x128", each(256, 1, 1024)),
          grouped("decode 2 x 32768, GQA 32/8x128", each(2, 1, 32768)),
          grouped("prefill 4096, GQA 32/8x128", each(1, 4096, 4096)),
          AttentionBackwardCase({"train 2 x 2048, GQA 16/8x128", each(2, 2048, 2048), 16, 8, 128,
                                 128, false, 0, true}),
          AttentionBackwardCase({"train 2 x 2048, MLA 16x192/128", each(2, 2048, 2048), 16, 16, 192,
                                 128, false, 0, true})};
}

}  // namespace hone::kernels::testing
