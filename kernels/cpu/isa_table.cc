#include "kernels/cpu/kernels_isa.h"
#include "kernels/cpu/team.h"

namespace hone::kernels::cpu::HONE_ISA {

const Table& IsaTable() {
  static constexpr Table kTable{
      .name = "cpu",
      .host_visible = true,
      .has_bf16 = HasBf16,
      .open = [](const StreamArgs& a, Stream* out) -> Error {
        *out = new Team(a.threads);
        return nullptr;
      },
      .close = [](Stream stream) { delete static_cast<Team*>(stream); },
      .allocate = Allocate,
      .release = Release,
      .upload = Transfer,
      .download = Transfer,
      .copy = Copy,
      .zero = cpu::Zero,
      .synchronize = Synchronize,
      .gemm = Gemm,
      .grouped_gemm = GroupedGemm,
      .rms_norm = RmsNorm,
      .rms_norm_backward = RmsNormBackward,
      .rope = Rope,
      .bias = Bias,
      .bias_backward = BiasBackward,
      .swiglu = Swiglu,
      .swiglu_backward = SwigluBackward,
      .gather_rows = GatherRows,
      .scatter_rows = ScatterRows,
      .embedding_backward = EmbeddingBackward,
      .attention = Attention,
      .attention_backward = AttentionBackward,
      .mla_keys_backward = MlaKeysBackward,
      .route = Route,
      .route_backward = RouteBackward,
      .sequence_balance = SequenceBalance,
      .permute = Permute,
      .combine = Combine,
      .combine_backward = CombineBackward,
      .logprob = Logprob,
      .logprob_backward = LogprobBackward,
      .sample = Sample,
      .adamw = AdamW,
      .axpby = Axpby,
      .cast = Cast,
      .sum_squares = SumSquares,
      .count_marked = CountMarked,
      .collect_marked = CollectMarked,
      .place_marked = PlaceMarked,
      .digest = Digest,
  };
  return kTable;
}

}  // namespace hone::kernels::cpu::HONE_ISA
