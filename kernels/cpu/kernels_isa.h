#pragma once

#include "kernels/cpu/cpu.h"
#include "kernels/cpu/simd.h"

namespace hone::kernels::cpu::HONE_ISA {

Error Gemm(const GemmArgs& args, Stream stream);
Error GroupedGemm(const GroupedGemmArgs& args, Stream stream);
Error RmsNorm(const RmsNormArgs& args, Stream stream);
Error RmsNormBackward(const RmsNormBackwardArgs& args, Stream stream);
Error Rope(const RopeArgs& args, Stream stream);
Error Bias(const BiasArgs& args, Stream stream);
Error BiasBackward(const BiasBackwardArgs& args, Stream stream);
Error Swiglu(const SwigluArgs& args, Stream stream);
Error SwigluBackward(const SwigluBackwardArgs& args, Stream stream);
Error GatherRows(const GatherRowsArgs& args, Stream stream);
Error ScatterRows(const ScatterRowsArgs& args, Stream stream);
Error EmbeddingBackward(const EmbeddingBackwardArgs& args, Stream stream);
Error Attention(const AttentionArgs& args, Stream stream);
Error AttentionBackward(const AttentionBackwardArgs& args, Stream stream);
Error MlaKeysBackward(const MlaKeysBackwardArgs& args, Stream stream);
Error Route(const RouteArgs& args, Stream stream);
Error RouteBackward(const RouteBackwardArgs& args, Stream stream);
Error Permute(const PermuteArgs& args, Stream stream);
Error Combine(const CombineArgs& args, Stream stream);
Error CombineBackward(const CombineBackwardArgs& args, Stream stream);
Error Logprob(const LogprobArgs& args, Stream stream);
Error LogprobBackward(const LogprobBackwardArgs& args, Stream stream);
Error Sample(const SampleArgs& args, Stream stream);
Error AdamW(const AdamWArgs& args, Stream stream);
Error Axpby(const AxpbyArgs& args, Stream stream);
Error Cast(const CastArgs& args, Stream stream);
Error SumSquares(const SumSquaresArgs& args, Stream stream);
Error Digest(const DigestArgs& args, Stream stream);

}  // namespace hone::kernels::cpu::HONE_ISA
