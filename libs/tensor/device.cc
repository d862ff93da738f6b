#include "libs/tensor/device.h"

#include <mutex>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "libs/base/log.h"

namespace hone {

std::vector<std::string> MissingEntries(const kernels::Table& table) {
  std::vector<std::string> missing;
  size_t entries = 0;
  const auto look = [&](auto entry, const char* name) {
    ++entries;
    if (entry == nullptr) missing.emplace_back(name);
  };
#define HONE_ENTRY(name) look(table.name, #name)
  HONE_ENTRY(has_bf16);
  HONE_ENTRY(open);
  HONE_ENTRY(close);
  HONE_ENTRY(allocate);
  HONE_ENTRY(release);
  HONE_ENTRY(upload);
  HONE_ENTRY(download);
  HONE_ENTRY(copy);
  HONE_ENTRY(zero);
  HONE_ENTRY(synchronize);
  HONE_ENTRY(gemm);
  HONE_ENTRY(grouped_gemm);
  HONE_ENTRY(rms_norm);
  HONE_ENTRY(rms_norm_backward);
  HONE_ENTRY(rope);
  HONE_ENTRY(bias);
  HONE_ENTRY(bias_backward);
  HONE_ENTRY(swiglu);
  HONE_ENTRY(swiglu_backward);
  HONE_ENTRY(gather_rows);
  HONE_ENTRY(scatter_rows);
  HONE_ENTRY(embedding_backward);
  HONE_ENTRY(attention);
  HONE_ENTRY(attention_backward);
  HONE_ENTRY(mla_keys_backward);
  HONE_ENTRY(route);
  HONE_ENTRY(route_backward);
  HONE_ENTRY(sequence_balance);
  HONE_ENTRY(permute);
  HONE_ENTRY(combine);
  HONE_ENTRY(combine_backward);
  HONE_ENTRY(logprob);
  HONE_ENTRY(logprob_backward);
  HONE_ENTRY(sample);
  HONE_ENTRY(adamw);
  HONE_ENTRY(axpby);
  HONE_ENTRY(cast);
  HONE_ENTRY(sum_squares);
  HONE_ENTRY(count_marked);
  HONE_ENTRY(collect_marked);
  HONE_ENTRY(place_marked);
  HONE_ENTRY(digest);
#undef HONE_ENTRY
  // The name and host_visible are a word each as well; free_memory and four entries for recordings
  // may be null.
  HONE_CHECK((entries + 2 + 5) * sizeof(void*) == sizeof(kernels::Table))
      << "an entry of the kernel table is not listed here";
  return missing;
}

absl::StatusOr<const kernels::Table*> FindTable(DeviceKind kind) {
  if (kind == DeviceKind::kCpu) return &kernels::Cpu();
  const kernels::Table* cuda = kernels::Cuda();
  const std::vector<std::string> missing =
      cuda == nullptr ? std::vector<std::string>{} : MissingEntries(*cuda);
  if (cuda != nullptr && missing.empty()) return cuda;
  const kernels::Absence absence = kernels::CudaAbsence();
  if (kind == DeviceKind::kAuto) {
    static std::once_flag warned;
    if (absence.fault)
      std::call_once(warned, [&] {
        Log(LogLevel::kWarning, "the GPU cannot be used; computing on the CPU",
            {{"reason", absence.reason}});
      });
    return &kernels::Cpu();
  }
  if (cuda == nullptr)
    return absl::FailedPreconditionError(
        absl::StrCat("device cuda: ", absence.reason, "; use cpu or auto"));
  return absl::FailedPreconditionError(absl::StrCat(
      "device cuda: its backend has no ", absl::StrJoin(missing, ", "), " yet; use cpu or auto"));
}

}  // namespace hone
