#include "libs/model/lora.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "libs/base/random.h"

namespace hone {

using kernels::AxpbyArgs;
using kernels::GemmArgs;
using kernels::Layout;

namespace {

// scale * x, in the arena.
const float* Scaled(const Device& on, Arena& arena, const Matrix& x, double scale) {
  const int64_t n = x.rows * x.cols;
  float* out = arena.NewArray<float>(n);
  on.Copy(out, x.data, n * static_cast<int64_t>(sizeof(float)));
  // The kernel reads y even where b is 0, so it must not be what the arena happens to hold.
  on.Run(on.table().axpby,
         AxpbyArgs{.x = out, .y = out, .n = n, .a = 0, .b = static_cast<float>(scale)});
  return out;
}

}  // namespace

absl::Status CheckLora(const LoraConfig& lora, const ModelConfig& config) {
  if (lora.rank == 0) return absl::OkStatus();
  if (lora.rank < 0 || !(lora.alpha > 0))
    return absl::InvalidArgumentError(absl::StrCat("LoRA of rank ", lora.rank, " and alpha ",
                                                   lora.alpha, " (expected both above 0)"));
  const ParameterLayout layout(config);
  std::set<std::string> modules;
  for (const Parameter& p : layout.parameters())
    if (p.role == ParameterRole::kMatrix) modules.insert(LoraConfig::ModuleOf(p.name));
  for (const std::string& target : lora.targets) {
    if (target == LoraConfig::kAllLinear || modules.count(target) > 0) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("LoRA target \"", target, "\" is no linear module of this model's layers (",
                     absl::StrJoin(modules, ", "), " or ", LoraConfig::kAllLinear, ")"));
  }
  return absl::OkStatus();
}

void InitializeAdapters(const ParameterLayout& layout, uint64_t seed, Weights& weights) {
  std::vector<float> values(static_cast<size_t>(layout.adapters_size()), 0);
  for (const ParameterLayout::Layer& layer : layout.layers())
    for (const ParameterLayout::Adapter& adapter : layer.adapters) {
      RandomStream random(DeriveKey(KeyFromSeed(seed), absl::StrCat("lora/", adapter.module)));
      const ParameterLayout::Span& a = adapter.a;
      const double bound = 1 / std::sqrt(static_cast<double>(a.cols));
      for (int64_t i = 0; i < a.rows * a.cols; ++i)
        values[static_cast<size_t>(a.offset + i)] =
            static_cast<float>(bound * (2 * random.Uniform() - 1));
    }
  Device(weights.table(), 1)
      .Write(static_cast<float*>(weights.adapters.data()), values.data(), layout.adapters_size());
}

void MergeAdapter(const Device& on, Arena& arena, double scale, const Matrix& a, const Matrix& b,
                  const Matrix& merged) {
  const Arena::Mark mark = arena.mark();
  on.Run(on.table().gemm, GemmArgs{.a = Scaled(on, arena, b, scale),
                                   .b = a.data,
                                   .c = merged.data,
                                   .add = merged.data,
                                   .m = merged.rows,
                                   .n = merged.cols,
                                   .k = b.cols,
                                   .lda = b.ld,
                                   .ldb = merged.cols,
                                   .ldc = merged.ld,
                                   .layout = Layout::kNN,
                                   .dtype = DType::kF32,
                                   .c_dtype = merged.dtype});
  arena.Release(mark);
}

void MergeAdapters(const Device& on, Arena& arena, const ParameterLayout& layout,
                   Weights& weights) {
  for (const ParameterLayout::Layer& layer : layout.layers()) {
    // Rows of a fused product that no adapter changes stay as they are.
    layer.ForEachSpan([&](const ParameterLayout::Span& span) {
      if (span.merged < 0) return;
      const Matrix from = weights.parameters.View(span);
      on.Copy(weights.View(span).data, from.data, from.rows * from.cols * BytesOf(from.dtype));
    });
    for (const ParameterLayout::Adapter& adapter : layer.adapters)
      MergeAdapter(on, arena, layout.lora().scale(), weights.adapters.View(adapter.a),
                   weights.adapters.View(adapter.b), weights.View(adapter.target));
  }
}

void AdapterBackward(const Device& on, Arena& arena, const ParameterLayout& layout, int64_t layer,
                     const Weights& weights, float* dmerged, ParameterArena& gradients) {
  const ParameterLayout::Layer& l = layout.layers()[static_cast<size_t>(layer)];
  for (const ParameterLayout::Adapter& adapter : l.adapters) {
    const Arena::Mark mark = arena.mark();
    const Matrix a = weights.adapters.View(adapter.a);
    const Matrix b = weights.adapters.View(adapter.b);
    const float* dw = dmerged + (adapter.target.merged - l.merged_begin);
    GemmArgs gemm{.a = dw,
                  .b = Scaled(on, arena, a, layout.lora().scale()),
                  .c = gradients.View(adapter.b).data,
                  .add = gradients.View(adapter.b).data,
                  .m = b.rows,
                  .n = b.cols,
                  .k = a.cols,
                  .lda = a.cols,
                  .ldb = a.cols,
                  .ldc = b.cols,
                  .layout = Layout::kNT};
    on.Run(on.table().gemm, gemm);
    gemm = {.a = Scaled(on, arena, b, layout.lora().scale()),
            .b = dw,
            .c = gradients.View(adapter.a).data,
            .add = gradients.View(adapter.a).data,
            .m = a.rows,
            .n = a.cols,
            .k = b.rows,
            .lda = b.cols,
            .ldb = a.cols,
            .ldc = a.cols,
            .layout = Layout::kTN};
    on.Run(on.table().gemm, gemm);
    arena.Release(mark);
  }
}

}  // namespace hone
