#include "kernels/cpu/kernels_isa.h"

namespace hone::kernels::cpu::HONE_ISA {

Error GemmBF16(const GemmArgs&, Stream) {
  return "gemm: bf16 needs a processor with AMX";
}
Error GroupedGemmBF16(const GroupedGemmArgs&, Stream) {
  return "grouped_gemm: bf16 needs a processor with AMX";
}

}  // namespace hone::kernels::cpu::HONE_ISA

#if defined(__AVX512F__)
namespace hone::kernels {
bool CpuHasBf16() {
  return false;
}
}  // namespace hone::kernels
#endif
