// config.json of a model folder.

#include <cmath>
#include <cstdint>

#include "libs/base/check.h"
#include "libs/model/memory.h"
#include "libs/model/save.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace hone;
  const absl::string_view text(reinterpret_cast<const char*>(data), size);
  const absl::StatusOr<std::string> exported = ExportedConfig(text, DType::kBF16);
  const absl::StatusOr<ModelConfig> config = ParseModelConfig(text);
  if (!config.ok()) return 0;
  HONE_CHECK(exported.ok()) << exported.status().ToString();
  // What was let through can be computed with.
  HONE_CHECK(config->ParameterCount() >= 1 && config->ParameterCount() <= 1e15);
  HONE_CHECK(config->kv_width() > 0 && config->heads > 0 && config->rope_dim % 2 == 0);
  for (const double f : ComputeRopeFrequencies(*config).inv_freq) HONE_CHECK(std::isfinite(f));
  HONE_CHECK(std::isfinite(config->softmax_scale()));
  HONE_CHECK(MemoryOfTraining(*config, {}).total() > 0);
  HONE_CHECK(MemoryOfRollout(*config, {}).total() > 0);
  return 0;
}
