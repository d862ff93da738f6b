#include "libs/model/tensor_map.h"

#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "libs/base/status.h"

namespace hone {
namespace {

absl::Status CheckShape(const HfReader& reader, const HfTensor& tensor,
                        const std::vector<int64_t>& want) {
  if (tensor.shape == want) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      reader.dir(), ": tensor ", tensor.name, " has shape [", absl::StrJoin(tensor.shape, ", "),
      "]; config.json makes it [", absl::StrJoin(want, ", "), "]"));
}

// One expert's matrix inside the tensor of all of them; `name` is that of a parameter.
struct Stacked {
  TensorMap::Place place;
  std::vector<int64_t> shape;  // of the tensor
};
bool FindStacked(const Parameter& p, int64_t experts, Stacked& out) {
  constexpr absl::string_view kExperts = ".mlp.experts.";
  absl::string_view name = p.name;
  const size_t at = name.find(kExperts);
  if (at == absl::string_view::npos) return false;
  const std::string prefix(name.substr(0, at + kExperts.size()));
  absl::string_view rest = name.substr(prefix.size());
  const size_t dot = rest.find('.');
  int64_t expert = 0;
  if (!absl::SimpleAtoi(rest.substr(0, dot), &expert)) return false;
  const bool down = absl::StartsWith(rest.substr(dot), ".down_proj");
  const bool up = absl::StartsWith(rest.substr(dot), ".up_proj");
  const int64_t parts = down ? 1 : 2;
  out.place = {absl::StrCat(prefix, down ? "down_proj" : "gate_up_proj"),
               (expert * parts + (up ? 1 : 0)) * p.size()};
  out.shape = {experts, parts * p.rows, p.cols};
  return true;
}

absl::StatusOr<TensorMap::Place> Find(const HfReader& reader, const ModelConfig& config,
                                      const Parameter& p) {
  if (const HfTensor* tensor = reader.Find(p.name)) {
    std::vector<int64_t> want = {p.rows, p.cols};
    if (p.rows == 1 && tensor->shape.size() == 1) want = {p.cols};
    HONE_RETURN_IF_ERROR(CheckShape(reader, *tensor, want));
    return TensorMap::Place{p.name, 0};
  }
  Stacked stacked;
  if (FindStacked(p, config.moe.experts, stacked))
    if (const HfTensor* tensor = reader.Find(stacked.place.tensor)) {
      HONE_RETURN_IF_ERROR(CheckShape(reader, *tensor, stacked.shape));
      return stacked.place;
    }
  return absl::InvalidArgumentError(absl::StrCat(reader.dir(), ": tensor ", p.name, " is missing"));
}

// Whether a tensor lies in a layer that the model has.
bool InLayer(absl::string_view name, const ModelConfig& config) {
  int64_t layer = 0;
  return absl::ConsumePrefix(&name, "model.layers.") &&
         absl::SimpleAtoi(name.substr(0, name.find('.')), &layer) && layer < config.layers;
}

}  // namespace

absl::StatusOr<TensorMap> MapTensors(const HfReader& reader, const ModelConfig& config,
                                     const ParameterLayout& layout) {
  TensorMap map;
  absl::flat_hash_set<std::string> used;
  const auto add = [&](const std::vector<Parameter>& parameters,
                       std::vector<TensorMap::Place>& places) -> absl::Status {
    for (const Parameter& p : parameters) {
      HONE_ASSIGN_OR_RETURN(TensorMap::Place place, Find(reader, config, p));
      used.insert(place.tensor);
      places.push_back(std::move(place));
    }
    return absl::OkStatus();
  };
  HONE_RETURN_IF_ERROR(add(layout.parameters(), map.parameters));
  HONE_RETURN_IF_ERROR(add(layout.biases(), map.biases));
  if (config.tied) used.insert("lm_head.weight");
  // Scales of whatever tensor are read with it.
  const auto has_owner = [&](absl::string_view name) {
    const HfTensor* owner = absl::ConsumeSuffix(&name, kScaleSuffix) ? reader.Find(name) : nullptr;
    return owner != nullptr && owner->dtype == StoredDType::kF8E4M3;
  };
  for (const HfTensor& tensor : reader.tensors()) {
    if (used.contains(tensor.name) || has_owner(tensor.name)) continue;
    if (InLayer(tensor.name, config) && !absl::EndsWith(tensor.name, ".rotary_emb.inv_freq"))
      return absl::InvalidArgumentError(absl::StrCat(reader.dir(), ": tensor ", tensor.name,
                                                     " is no part of the ", config.model_type,
                                                     " model that config.json describes"));
    map.carried.push_back(tensor);
  }
  return map;
}

}  // namespace hone
