#include "libs/model/load.h"

#include <cstring>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "libs/base/file.h"
#include "libs/base/status.h"

namespace hone {

absl::StatusOr<ModelConfig> LoadModelConfig(const std::string& folder) {
  const std::string path = absl::StrCat(folder, "/config.json");
  HONE_ASSIGN_OR_RETURN(const std::string text, ReadFile(path, int64_t{1} << 20));
  absl::StatusOr<ModelConfig> config = ParseModelConfig(text);
  if (!config.ok())
    return absl::Status(config.status().code(),
                        absl::StrCat(folder, ": ", std::string(config.status().message())));
  return config;
}

namespace {

absl::Status CheckShape(const HfReader& reader, const Parameter& p) {
  const HfTensor* tensor = reader.Find(p.name);
  if (tensor == nullptr)
    return absl::InvalidArgumentError(
        absl::StrCat(reader.dir(), ": tensor ", p.name, " is missing"));
  std::vector<int64_t> want = {p.rows, p.cols};
  if (p.rows == 1 && tensor->shape.size() == 1) want = {p.cols};
  if (tensor->shape != want)
    return absl::InvalidArgumentError(absl::StrCat(
        reader.dir(), ": tensor ", p.name, " has shape [", absl::StrJoin(tensor->shape, ", "),
        "]; config.json makes it [", absl::StrJoin(want, ", "), "]"));
  return absl::OkStatus();
}

absl::Status ReadAll(const HfReader& reader, const std::vector<Parameter>& parameters,
                     const ParameterArena& into) {
  for (const Parameter& p : parameters) HONE_RETURN_IF_ERROR(CheckShape(reader, p));
  for (const Parameter& p : parameters)
    HONE_RETURN_IF_ERROR(
        reader.Read(p.name, into.dtype(), into.View(p).data, p.size(), {.require_finite = true}));
  return absl::OkStatus();
}

}  // namespace

absl::Status LoadWeights(const HfReader& reader, const ModelConfig& config,
                         const ParameterLayout& layout, Weights& weights) {
  HONE_RETURN_IF_ERROR(ReadAll(reader, layout.parameters(), weights.parameters));
  HONE_RETURN_IF_ERROR(ReadAll(reader, layout.biases(), weights.biases));
  if (!config.tied || reader.Find("lm_head.weight") == nullptr) return absl::OkStatus();
  // A tied checkpoint may carry a copy of the head; a different one would be lost silently.
  const Matrix embedding = weights.parameters.View(layout.embedding());
  std::vector<char> head(
      static_cast<size_t>(embedding.rows * embedding.cols * BytesOf(embedding.dtype)));
  HONE_RETURN_IF_ERROR(
      reader.Read("lm_head.weight", embedding.dtype, head.data(), embedding.rows * embedding.cols));
  if (std::memcmp(head.data(), embedding.data, head.size()) != 0)
    return absl::InvalidArgumentError(absl::StrCat(
        reader.dir(),
        ": tie_word_embeddings is true but lm_head.weight differs from the embedding"));
  return absl::OkStatus();
}

}  // namespace hone
