#include "tests/engine/device_training.h"
#include "tests/kernels/emulated/emulated.h"

namespace hone {
namespace {

// The logic of the CUDA kernels, not a GPU: what was sampled has the same bits in Score (Train
// checks it) and in the learner's pass.
TEST_CASE("the CUDA kernels, emulated, generate, score and train with rollout and learner as one",
          "[engine]") {
  for (const Variant& v : Variants()) {
    INFO(v.text());
    const Outcome got = Train(v.name, v.dtype, v.lora, v.optimizer, kernels::EmulatedCuda());
    CHECK(got.steps[0].at("logprob_abs_diff_max") == 0);
    if (v.dtype != DType::kF32) continue;
    // Rounding apart, the CPU's step.
    const Outcome cpu = Train(v.name, v.dtype, v.lora, v.optimizer, kernels::Cpu());
    CHECK(got.steps[0].at("grad_norm") == Approx(cpu.steps[0].at("grad_norm")).epsilon(1e-3));
  }
}

}  // namespace
}  // namespace hone
