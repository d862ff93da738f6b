#include "libs/loop/model_folder.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/model/load.h"

namespace hone {

absl::StatusOr<ModelFolder> OpenModelFolder(const v1::ModelSpec& spec) {
  ModelFolder folder;
  HONE_ASSIGN_OR_RETURN(folder.config, LoadModelConfig(spec.path()));
  const std::string tokenizer =
      spec.tokenizer().empty() ? absl::StrCat(spec.path(), "/tokenizer.json") : spec.tokenizer();
  HONE_ASSIGN_OR_RETURN(folder.tokenizer, Tokenizer::Load(tokenizer));
  folder.vocab = std::min<int64_t>(folder.config.vocab, folder.tokenizer->vocab_size());
  folder.max_context = spec.max_context() > 0 ? spec.max_context() : folder.config.max_positions;
  if (folder.max_context > folder.config.max_positions)
    return absl::InvalidArgumentError(
        absl::StrCat("model.max_context ", folder.max_context, " is above the model's ",
                     folder.config.max_positions, " positions (", spec.path(), ")"));
  if (spec.precision() == v1::PRECISION_BF16) {
    if (!kernels::CpuHasBf16())
      return absl::FailedPreconditionError(
          "model.precision bf16 needs a CPU with AMX or AVX512-BF16; use f32 on this machine");
    folder.dtype = DType::kBF16;
  }
  return folder;
}

}  // namespace hone
