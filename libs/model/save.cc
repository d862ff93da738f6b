#include "libs/model/save.h"

#include <algorithm>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/base/file.h"
#include "libs/base/status.h"
#include "libs/checkpoint/convert.h"
#include "libs/checkpoint/hf_reader.h"
#include "libs/model/adapter.h"
#include "libs/model/load.h"
#include "libs/model/lora.h"
#include "libs/model/tensor_map.h"
#include "libs/tensor/pieces.h"

namespace hone {
namespace {

constexpr int64_t kChunk = int64_t{1} << 20;  // elements copied at a time

StoredDType Stored(DType dtype) {
  return dtype == DType::kF32 ? StoredDType::kF32 : StoredDType::kBF16;
}

TensorSpec SpecOf(const Parameter& p, DType dtype) {
  std::vector<int64_t> shape = {p.rows, p.cols};
  if (p.is_vector()) shape = {p.cols};
  return {.name = p.name, .dtype = Stored(dtype), .shape = std::move(shape)};
}

// What a folder will hold: each tensor, and how its bytes come.
class Contents {
 public:
  using Write = std::function<absl::Status(HfWriter&)>;

  void Add(TensorSpec spec, Write write) {
    writes_[spec.name] = std::move(write);
    specs_.push_back(std::move(spec));
  }
  // Elements of a stored tensor as one of another dtype.
  void Add(const HfReader& reader, const TensorMap::Place& place, TensorSpec spec, DType dtype) {
    const int64_t elements = *ElementCount(spec.shape);
    Write write = [&reader, place, name = spec.name, elements, dtype](HfWriter& writer) {
      std::vector<char> part(static_cast<size_t>(std::min(elements, kChunk) * BytesOf(dtype)));
      for (int64_t at = 0; at < elements; at += kChunk) {
        const int64_t n = std::min(kChunk, elements - at);
        HONE_RETURN_IF_ERROR(reader.ReadElements(place.tensor, place.first + at, n, dtype,
                                                 part.data(), {.require_finite = true}));
        HONE_RETURN_IF_ERROR(writer.WritePiece(name, at * BytesOf(dtype), part.data(),
                                               static_cast<size_t>(n * BytesOf(dtype))));
      }
      return absl::OkStatus();
    };
    Add(std::move(spec), std::move(write));
  }
  void AddCarried(const HfReader& reader, const std::vector<HfTensor>& carried, DType dtype) {
    for (const HfTensor& t : carried) {
      if (t.dtype == StoredDType::kF8E4M3 &&
          reader.Find(absl::StrCat(t.name, kScaleSuffix)) != nullptr) {
        Add(reader, {t.name, 0}, {.name = t.name, .dtype = Stored(dtype), .shape = t.shape}, dtype);
        continue;
      }
      Add({.name = t.name, .dtype = t.dtype, .shape = t.shape},
          [&reader, name = t.name, bytes = t.bytes](HfWriter& writer) {
            std::vector<char> part(static_cast<size_t>(std::min(bytes, 4 * kChunk)));
            for (int64_t at = 0; at < bytes; at += 4 * kChunk) {
              const auto n = static_cast<size_t>(std::min(4 * kChunk, bytes - at));
              HONE_RETURN_IF_ERROR(reader.ReadRaw(name, at, part.data(), n));
              HONE_RETURN_IF_ERROR(writer.WritePiece(name, at, part.data(), n));
            }
            return absl::OkStatus();
          });
    }
  }

  absl::StatusOr<std::unique_ptr<HfWriter>> WriteTo(FolderWriter& folder,
                                                    const std::string& subfolder,
                                                    const HfWriterOptions& options) const {
    HONE_ASSIGN_OR_RETURN(auto writer, HfWriter::Create(folder, subfolder, specs_, options));
    for (const TensorSpec& spec : writer->order())
      HONE_RETURN_IF_ERROR(writes_.at(spec.name)(*writer));
    return writer;
  }

 private:
  std::vector<TensorSpec> specs_;
  std::map<std::string, Write> writes_;
};

// Files that a model needs beside its weights. Moonlight's tokenizer is code and a tiktoken file.
bool IsCompanion(const std::string& name) {
  static constexpr const char* kNames[] = {"generation_config.json",
                                           "tokenizer.json",
                                           "tokenizer_config.json",
                                           "tokenizer.model",
                                           "special_tokens_map.json",
                                           "added_tokens.json",
                                           "vocab.json",
                                           "merges.txt",
                                           "chat_template.jinja",
                                           "chat_template.json",
                                           "tiktoken.model",
                                           "LICENSE"};
  return std::any_of(std::begin(kNames), std::end(kNames),
                     [&](const char* known) { return name == known; }) ||
         absl::EndsWith(name, ".py");
}

absl::Status WriteCompanions(HfWriter& writer, const std::string& source, DType dtype) {
  HONE_ASSIGN_OR_RETURN(const std::string config,
                        ReadFile(absl::StrCat(source, "/config.json"), kMaxConfigBytes));
  HONE_ASSIGN_OR_RETURN(const std::string exported, ExportedConfig(config, dtype));
  HONE_RETURN_IF_ERROR(writer.AddFile("config.json", exported));
  std::error_code error;
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(source, error))
    if (entry.is_regular_file(error)) names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  for (const std::string& name : names)
    if (IsCompanion(name))
      HONE_RETURN_IF_ERROR(writer.CopyFile(name, absl::StrCat(source, "/", name)));
  return writer.Finish();
}

}  // namespace

absl::Status SaveModel(FolderWriter& folder, const std::string& subfolder,
                       const std::string& source, const ModelConfig& config,
                       const ParameterLayout& layout, const Weights& weights,
                       const HfWriterOptions& options) {
  Contents contents;
  const auto add = [&](const std::vector<Parameter>& parameters, const ParameterArena& arena) {
    for (const Parameter& p : parameters)
      contents.Add(SpecOf(p, arena.dtype()), [&p, &arena](HfWriter& writer) {
        return ReadPieces(arena.table(), arena.View(p).data, p.size() * BytesOf(arena.dtype()),
                          [&](const char* piece, int64_t begin, int64_t bytes) {
                            return writer.WritePiece(p.name, begin, piece,
                                                     static_cast<size_t>(bytes));
                          });
      });
  };
  add(layout.parameters(), weights.parameters);
  add(layout.biases(), weights.biases);
  const DType dtype = weights.parameters.dtype();
  std::optional<HfReader> reader;
  absl::StatusOr<HfReader> opened = HfReader::Open(source);
  if (opened.ok()) {
    reader.emplace(*std::move(opened));
    HONE_ASSIGN_OR_RETURN(const TensorMap map, MapTensors(*reader, config, layout));
    contents.AddCarried(*reader, map.carried, dtype);
  } else if (!absl::IsNotFound(opened.status())) {  // a run that began with random weights
    return opened.status();
  }
  HONE_ASSIGN_OR_RETURN(const auto writer, contents.WriteTo(folder, subfolder, options));
  return WriteCompanions(*writer, source, dtype);
}

absl::Status ConvertModel(FolderWriter& folder, const std::string& subfolder,
                          const std::string& source, DType dtype, const HfWriterOptions& options,
                          const std::string& adapter) {
  HONE_ASSIGN_OR_RETURN(const ModelConfig config, LoadModelConfig(source));
  LoraConfig lora;
  if (!adapter.empty()) {
    HONE_ASSIGN_OR_RETURN(lora, ReadAdapterConfig(adapter));
    HONE_RETURN_IF_ERROR(CheckLora(lora, config));
  }
  const ParameterLayout layout(config, lora);
  ParameterArena adapters(layout.adapters_size(), DType::kF32);
  if (layout.adapted()) HONE_RETURN_IF_ERROR(LoadAdapters(adapter, layout, adapters));
  std::map<std::string, const ParameterLayout::Adapter*> additions;  // by the parameter's name
  for (const ParameterLayout::Layer& layer : layout.layers())
    for (const ParameterLayout::Adapter& a : layer.adapters)
      additions[absl::StrCat(a.module, ".weight")] = &a;
  HONE_ASSIGN_OR_RETURN(const HfReader reader, HfReader::Open(source));
  HONE_ASSIGN_OR_RETURN(const TensorMap map, MapTensors(reader, config, layout));
  const auto merge = [&](const Parameter& p, const TensorMap::Place& place,
                         const ParameterLayout::Adapter& addition, HfWriter& writer) {
    const Device on(kernels::Cpu(), 1);
    Arena arena;
    const Matrix w = arena.NewMatrix(p.rows, p.cols, dtype);
    HONE_RETURN_IF_ERROR(reader.ReadElements(place.tensor, place.first, p.size(), dtype, w.data,
                                             {.require_finite = true}));
    MergeAdapter(on, arena, lora.scale(), adapters.View(addition.a), adapters.View(addition.b), w);
    if (FirstNonFinite(dtype, w.data, p.size()) >= 0)
      return absl::InvalidArgumentError(
          absl::StrCat(p.name, " is not finite with the adapter of ", adapter));
    return writer.Write(p.name, w.data, static_cast<size_t>(p.size() * BytesOf(dtype)));
  };
  Contents contents;
  for (size_t i = 0; i < layout.parameters().size(); ++i) {
    const Parameter& p = layout.parameters()[i];
    const TensorMap::Place& place = map.parameters[i];
    if (const auto it = additions.find(p.name); it != additions.end()) {
      contents.Add(SpecOf(p, dtype), [&merge, &p, &place, &addition = *it->second](HfWriter& to) {
        return merge(p, place, addition, to);
      });
    } else {
      contents.Add(reader, place, SpecOf(p, dtype), dtype);
    }
  }
  for (size_t i = 0; i < layout.biases().size(); ++i)
    contents.Add(reader, map.biases[i], SpecOf(layout.biases()[i], DType::kF32), DType::kF32);
  contents.AddCarried(reader, map.carried, dtype);
  HONE_ASSIGN_OR_RETURN(const auto writer, contents.WriteTo(folder, subfolder, options));
  return WriteCompanions(*writer, source, dtype);
}

}  // namespace hone
