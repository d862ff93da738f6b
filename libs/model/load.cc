#include "libs/model/load.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/base/file.h"
#include "libs/base/status.h"
#include "libs/model/tensor_map.h"
#include "libs/tensor/pieces.h"

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
  const int64_t element = BytesOf(into.dtype());
  for (size_t i = 0; i < parameters.size(); ++i)
    HONE_RETURN_IF_ERROR(
        WritePieces(into.table(), into.View(parameters[i]).data, parameters[i].size() * element,
                    [&](char* piece, int64_t begin, int64_t bytes) {
                      return reader.ReadElements(places[i].tensor,
                                                 places[i].first + begin / element, bytes / element,
                                                 into.dtype(), piece, {.require_finite = true});
                    }));
  return absl::OkStatus();
}

// A tied checkpoint may carry a copy of the head; a different one would be lost silently.
absl::Status CheckTiedHead(const HfReader& reader, const kernels::Table& table,
                           const Matrix& embedding) {
  const HfTensor* head = reader.Find("lm_head.weight");
  if (head == nullptr) return absl::OkStatus();
  constexpr int64_t kPart = int64_t{1} << 20;
  std::vector<char> part(static_cast<size_t>(kPart * BytesOf(embedding.dtype)));
  const int64_t element = BytesOf(embedding.dtype);
  bool same = head->shape == std::vector<int64_t>{embedding.rows, embedding.cols};
  const absl::Status read = ReadPieces(
      table, embedding.data, same ? embedding.rows * embedding.cols * element : 0,
      [&](const char* piece, int64_t begin, int64_t bytes) {
        for (int64_t at = 0; same && at < bytes; at += kPart * element) {
          const int64_t n = std::min(kPart * element, bytes - at);
          HONE_RETURN_IF_ERROR(reader.ReadElements(head->name, (begin + at) / element, n / element,
                                                   embedding.dtype, part.data()));
          same = std::memcmp(part.data(), piece + at, static_cast<size_t>(n)) == 0;
        }
        return absl::OkStatus();
      });
  HONE_RETURN_IF_ERROR(read);
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
  return CheckTiedHead(reader, weights.table(), weights.parameters.View(layout.embedding()));
}

}  // namespace hone
