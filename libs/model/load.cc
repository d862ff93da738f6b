#include "libs/model/load.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/base/file.h"
#include "libs/base/status.h"
#include "libs/model/tensor_map.h"

namespace hone {

absl::StatusOr<ModelConfig> LoadModelConfig(const std::string& folder) {
  const std::string path = absl::StrCat(folder, "/config.json");
  HONE_ASSIGN_OR_RETURN(const std::string text, ReadFile(path, kMaxConfigBytes));
  absl::StatusOr<ModelConfig> config = ParseModelConfig(text);
  if (!config.ok())
    return absl::Status(config.status().code(),
                        absl::StrCat(folder, ": ", std::string(config.status().message())));
  return config;
}

namespace {

absl::Status ReadAll(const HfReader& reader, const std::vector<Parameter>& parameters,
                     const std::vector<TensorMap::Place>& places, const ParameterArena& into) {
  for (size_t i = 0; i < parameters.size(); ++i)
    HONE_RETURN_IF_ERROR(
        reader.ReadElements(places[i].tensor, places[i].first, parameters[i].size(), into.dtype(),
                            into.View(parameters[i]).data, {.require_finite = true}));
  return absl::OkStatus();
}

// A tied checkpoint may carry a copy of the head; a different one would be lost silently.
absl::Status CheckTiedHead(const HfReader& reader, const Matrix& embedding) {
  const HfTensor* head = reader.Find("lm_head.weight");
  if (head == nullptr) return absl::OkStatus();
  const int64_t rows = std::max<int64_t>(1, (int64_t{1} << 20) / embedding.cols);
  std::vector<char> part(static_cast<size_t>(rows * embedding.cols * BytesOf(embedding.dtype)));
  bool same = head->shape == std::vector<int64_t>{embedding.rows, embedding.cols};
  for (int64_t row = 0; same && row < embedding.rows; row += rows) {
    const int64_t count = std::min(rows, embedding.rows - row) * embedding.cols;
    HONE_RETURN_IF_ERROR(
        reader.ReadElements(head->name, row * embedding.cols, count, embedding.dtype, part.data()));
    same = std::memcmp(part.data(), embedding.at(row, 0),
                       static_cast<size_t>(count * BytesOf(embedding.dtype))) == 0;
  }
  if (same) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      reader.dir(),
      ": tie_word_embeddings is true but lm_head.weight differs from the embedding; set it to "
      "false to use both"));
}

}  // namespace

absl::Status LoadWeights(const HfReader& reader, const ModelConfig& config,
                         const ParameterLayout& layout, Weights& weights) {
  HONE_ASSIGN_OR_RETURN(const TensorMap map, MapTensors(reader, config, layout));
  HONE_RETURN_IF_ERROR(ReadAll(reader, layout.parameters(), map.parameters, weights.parameters));
  HONE_RETURN_IF_ERROR(ReadAll(reader, layout.biases(), map.biases, weights.biases));
  if (!config.tied) return absl::OkStatus();
  return CheckTiedHead(reader, weights.parameters.View(layout.embedding()));
}

}  // namespace hone
