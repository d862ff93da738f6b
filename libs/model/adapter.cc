#include "libs/model/adapter.h"

#include <cmath>
#include <set>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "libs/base/file.h"
#include "libs/base/status.h"
#include "libs/checkpoint/convert.h"
#include "libs/checkpoint/safetensors.h"
#include "libs/checkpoint/safetensors_writer.h"
#include "libs/json/strict_json.h"
#include "libs/tensor/pieces.h"
#include "nlohmann/json.hpp"

namespace hone {
namespace {

using nlohmann::json;

constexpr absl::string_view kPrefix = "base_model.model.";
constexpr const char* kConfigFile = "adapter_config.json";
constexpr const char* kWeightsFile = "adapter_model.safetensors";

// Whether a field says nothing: absent, null, false, or empty.
bool Unset(const json& root, const char* field) {
  const auto it = root.find(field);
  if (it == root.end() || it->is_null()) return true;
  if (it->is_boolean()) return !it->get<bool>();
  return (it->is_object() || it->is_array() || it->is_string()) && it->empty();
}

}  // namespace

absl::StatusOr<LoraConfig> ReadAdapterConfig(const std::string& folder) {
  const std::string path = absl::StrCat(folder, "/", kConfigFile);
  HONE_ASSIGN_OR_RETURN(const std::string text, ReadFile(path, int64_t{1} << 20));
  HONE_ASSIGN_OR_RETURN(const json root, ParseJsonObject(text, path));
  const auto fail = [&](const char* field, absl::string_view expected) {
    const std::string value = root.contains(field) ? root[field].dump().substr(0, 100) : "missing";
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": ", field, ": ", value, " (expected ", expected, ")"));
  };
  if (root.value("peft_type", json()) != "LORA") return fail("peft_type", "\"LORA\"");
  for (const char* field :
       {"use_dora", "lora_bias", "fan_in_fan_out", "rank_pattern", "alpha_pattern",
        "modules_to_save", "layers_to_transform", "layers_pattern", "layer_replication",
        "exclude_modules", "target_parameters", "trainable_token_indices"})
    if (!Unset(root, field)) return fail(field, "nothing: it is not supported");
  if (!Unset(root, "bias") && root["bias"] != "none") return fail("bias", "\"none\"");
  LoraConfig lora;
  if (const auto r = root.find("r");
      r == root.end() || !r->is_number_integer() || *r < 1 || *r > 4096)
    return fail("r", "a rank from 1 to 4096");
  lora.rank = root["r"].get<int64_t>();
  if (const auto a = root.find("lora_alpha"); a == root.end() || !a->is_number() || !(*a > 0))
    return fail("lora_alpha", "a number above 0");
  lora.alpha = root["lora_alpha"].get<double>();
  // alpha / sqrt(r) instead of alpha / r
  if (!Unset(root, "use_rslora")) lora.alpha *= std::sqrt(static_cast<double>(lora.rank));
  const json targets = root.value("target_modules", json());
  if (targets.is_array() && !targets.empty()) {
    for (const json& t : targets) {
      if (!t.is_string()) return fail("target_modules", "names of modules");
      // A path such as "self_attn.q_proj" matches by its end, as the bare name does.
      const std::string name = t.get<std::string>();
      lora.targets.push_back(name.substr(name.rfind('.') + 1));
    }
  } else if (targets == LoraConfig::kAllLinear) {
    lora.targets = {LoraConfig::kAllLinear};
  } else {
    return fail("target_modules", "a list of module names, or \"all-linear\"");
  }
  return lora;
}

absl::Status LoadAdapters(const std::string& folder, const ParameterLayout& layout,
                          ParameterArena& adapters) {
  HONE_ASSIGN_OR_RETURN(const SafetensorsFile file,
                        SafetensorsFile::Open(absl::StrCat(folder, "/", kWeightsFile)));
  std::set<std::string> known;
  std::vector<std::byte> raw;
  std::vector<float> values;
  const Device on(adapters.table(), 1);
  for (const Parameter& p : layout.trained()) {
    const std::string name = absl::StrCat(kPrefix, p.name);
    const TensorEntry* tensor = file.Find(name);
    if (tensor == nullptr)
      return absl::InvalidArgumentError(
          absl::StrCat(file.path(), ": tensor ", name, " is missing"));
    if (tensor->shape != std::vector<int64_t>{p.rows, p.cols} || !IsWeight(tensor->dtype) ||
        tensor->dtype == StoredDType::kF8E4M3)
      return absl::InvalidArgumentError(absl::StrCat(
          file.path(), ": tensor ", name, " is ", Name(tensor->dtype), " [",
          absl::StrJoin(tensor->shape, ", "), "] (expected floating-point numbers of shape [",
          p.rows, ", ", p.cols, "])"));
    raw.resize(static_cast<size_t>(tensor->bytes));
    HONE_RETURN_IF_ERROR(file.Read(name, raw.data(), raw.size()));
    values.resize(static_cast<size_t>(p.size()));
    Convert(tensor->dtype, raw.data(), DType::kF32, values.data(), p.size());
    if (FirstNonFinite(DType::kF32, values.data(), p.size()) >= 0)
      return absl::InvalidArgumentError(
          absl::StrCat(file.path(), ": tensor ", name, " holds NaN or infinity"));
    on.Write(adapters.View(p).f32(), values.data(), p.size());
    known.insert(name);
  }
  for (const TensorEntry& tensor : file.tensors())
    if (known.count(tensor.name) == 0)
      return absl::InvalidArgumentError(absl::StrCat(file.path(), ": tensor ", tensor.name,
                                                     " belongs to no adapter of this model"));
  return absl::OkStatus();
}

absl::Status SaveAdapters(FolderWriter& folder, const std::string& subfolder,
                          const std::string& base, const ParameterLayout& layout,
                          const Weights& weights) {
  const auto at = [&](const char* name) { return absl::StrCat(subfolder, "/", name); };
  const LoraConfig& lora = layout.lora();
  const json config = {
      {"peft_type", "LORA"},
      {"task_type", "CAUSAL_LM"},
      {"base_model_name_or_path", base},
      {"r", lora.rank},
      {"lora_alpha", lora.alpha},
      {"lora_dropout", 0.0},
      {"target_modules", lora.targets.size() == 1 && lora.targets[0] == LoraConfig::kAllLinear
                             ? json(LoraConfig::kAllLinear)
                             : json(lora.targets)},
      {"bias", "none"},
      {"fan_in_fan_out", false},
      {"inference_mode", true}};
  HONE_RETURN_IF_ERROR(folder.AddFile(at(kConfigFile), absl::StrCat(config.dump(2), "\n")));
  std::vector<TensorSpec> specs;
  for (const Parameter& p : layout.trained())
    specs.push_back({.name = absl::StrCat(kPrefix, p.name),
                     .dtype = StoredDType::kF32,
                     .shape = {p.rows, p.cols}});
  HONE_ASSIGN_OR_RETURN(
      auto writer, SafetensorsWriter::Create(folder, at(kWeightsFile), specs, {{"format", "pt"}}));
  for (const Parameter& p : layout.trained())
    HONE_RETURN_IF_ERROR(ReadPieces(weights.table(), weights.adapters.View(p).data,
                                    p.size() * static_cast<int64_t>(sizeof(float)),
                                    [&](const char* piece, int64_t begin, int64_t bytes) {
                                      return writer.WritePiece(absl::StrCat(kPrefix, p.name), begin,
                                                               piece, static_cast<size_t>(bytes));
                                    }));
  return writer.Finish();
}

}  // namespace hone
