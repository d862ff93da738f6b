// write_adapter MODEL TO MODULE...: a random adapter of rank 3 for the named linear modules of a
// model folder, written as a run writes one. For compare_transformers.py.

#include <cstdio>

#include "libs/base/random.h"
#include "libs/base/status.h"
#include "libs/model/adapter.h"
#include "libs/model/load.h"
#include "libs/model/lora.h"

namespace hone {
namespace {

absl::Status Write(const std::string& model, const std::string& to,
                   std::vector<std::string> modules) {
  HONE_ASSIGN_OR_RETURN(const ModelConfig config, LoadModelConfig(model));
  const LoraConfig lora = {.rank = 3, .alpha = 6, .targets = std::move(modules)};
  HONE_RETURN_IF_ERROR(CheckLora(lora, config));
  const ParameterLayout layout(config, lora);
  Weights weights(layout, DType::kF32);
  InitializeAdapters(layout, 1, weights);
  RandomStream random(uint64_t{2});
  for (const Parameter& p : layout.trained())
    if (p.name.find(".lora_B.") != std::string::npos)
      for (int64_t i = 0; i < p.size(); ++i)
        weights.adapters.View(p).f32()[i] = static_cast<float>(0.1 * random.Normal());
  HONE_ASSIGN_OR_RETURN(const auto folder, FolderWriter::Create(to));
  HONE_RETURN_IF_ERROR(SaveAdapters(*folder, "adapter", model, layout, weights));
  return folder->Commit();
}

}  // namespace
}  // namespace hone

int main(int argc, char** argv) {
  if (argc < 4) {
    std::fprintf(stderr, "usage: write_adapter MODEL TO MODULE...\n");
    return 2;
  }
  const absl::Status s = hone::Write(argv[1], argv[2], {argv + 3, argv + argc});
  if (!s.ok()) std::fprintf(stderr, "%s\n", s.ToString().c_str());
  return s.ok() ? 0 : 1;
}
