#include "libs/loop/training_checkpoint.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/checkpoint/checkpoint.h"
#include "libs/checkpoint/checkpoint_writer.h"
#include "libs/checkpoint/hf_reader.h"
#include "libs/checkpoint/hf_writer.h"
#include "libs/checkpoint/train_state.h"
#include "libs/model/load.h"

namespace hone {
namespace {

StoredDType Stored(DType dtype) {
  return dtype == DType::kF32 ? StoredDType::kF32 : StoredDType::kBF16;
}

// The arenas of the training state beside the weights, by name.
std::vector<Optimizer::Named> StateOf(Trainer& trainer) {
  std::vector<Optimizer::Named> state = trainer.optimizer().State();
  if (Weights* reference = trainer.reference()) {
    state.push_back({"reference", &reference->parameters});
    state.push_back({"reference_biases", &reference->biases});
  }
  std::erase_if(state, [](const Optimizer::Named& n) { return n.arena->size() == 0; });
  return state;
}

absl::Status WriteWeights(FolderWriter& folder, const std::string& model_folder,
                          const ParameterLayout& layout, const Weights& weights) {
  struct Source {
    const Parameter* parameter;
    const ParameterArena* arena;
  };
  std::vector<TensorSpec> specs;
  std::map<std::string, Source> sources;
  const auto add = [&](const std::vector<Parameter>& parameters, const ParameterArena& arena) {
    for (const Parameter& p : parameters) {
      std::vector<int64_t> shape = {p.cols};
      if (p.role != ParameterRole::kNorm && &arena == &weights.parameters) shape = {p.rows, p.cols};
      specs.push_back({.name = p.name, .dtype = Stored(arena.dtype()), .shape = shape});
      sources[p.name] = {&p, &arena};
    }
  };
  add(layout.parameters(), weights.parameters);
  add(layout.biases(), weights.biases);
  HONE_ASSIGN_OR_RETURN(const auto writer, HfWriter::Create(folder, "hf", specs));
  for (const TensorSpec& spec : writer->order()) {
    const Source& s = sources[spec.name];
    const auto bytes = static_cast<size_t>(s.parameter->size() * BytesOf(s.arena->dtype()));
    HONE_RETURN_IF_ERROR(writer->Write(spec.name, s.arena->View(*s.parameter).data, bytes));
  }
  std::error_code error;
  for (const char* name :
       {"config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json",
        "special_tokens_map.json", "chat_template.jinja", "tiktoken.model"}) {
    const std::string from = absl::StrCat(model_folder, "/", name);
    if (std::filesystem::exists(from, error)) HONE_RETURN_IF_ERROR(writer->CopyFile(name, from));
  }
  return writer->Finish();
}

absl::Status WriteState(CheckpointWriter& checkpoint, Trainer& trainer, const Position& position) {
  const std::vector<Optimizer::Named> state = StateOf(trainer);
  std::vector<StateSlice> slices;
  for (const Optimizer::Named& n : state)
    slices.push_back(
        {.name = n.name, .dtype = Stored(n.arena->dtype()), .shape = {n.arena->size()}});
  HONE_ASSIGN_OR_RETURN(
      auto file, CreateStateFile(checkpoint.folder(), checkpoint.StateFileName(), slices,
                                 {{"optimizer_steps", EncodeScalar(trainer.optimizer().steps())},
                                  {"step", EncodeScalar(position.step)},
                                  {"stage_step", EncodeScalar(position.stage_step)},
                                  {"stage", position.stage}}));
  for (const Optimizer::Named& n : state)
    HONE_RETURN_IF_ERROR(
        file.Write(n.name, n.arena->data(), static_cast<size_t>(n.arena->bytes())));
  return file.Finish();
}

}  // namespace

absl::StatusOr<std::string> SaveCheckpoint(const std::string& dir, int keep,
                                           const std::string& model_folder,
                                           const Transformer& transformer, Trainer& trainer,
                                           const Position& position) {
  HONE_ASSIGN_OR_RETURN(const auto writer, CheckpointWriter::Create(dir, position.step));
  HONE_RETURN_IF_ERROR(
      WriteWeights(writer->folder(), model_folder, transformer.layout(), trainer.weights()));
  HONE_RETURN_IF_ERROR(WriteState(*writer, trainer, position));
  HONE_RETURN_IF_ERROR(writer->FinishRank());
  HONE_RETURN_IF_ERROR(writer->Commit({{"stage", position.stage}}));
  HONE_RETURN_IF_ERROR(PruneCheckpoints(dir, std::max(1, keep)).status());
  return CheckpointPath(dir, position.step);
}

absl::StatusOr<Position> LoadCheckpoint(const std::string& path, const Transformer& transformer,
                                        Trainer& trainer) {
  HONE_ASSIGN_OR_RETURN(const Checkpoint checkpoint, Checkpoint::Open(path));
  HONE_ASSIGN_OR_RETURN(const HfReader reader, HfReader::Open(checkpoint.hf_path()));
  HONE_RETURN_IF_ERROR(
      LoadWeights(reader, transformer.config(), transformer.layout(), trainer.weights()));
  trainer.WeightsChanged();
  HONE_ASSIGN_OR_RETURN(const StateReader state, checkpoint.OpenState());
  trainer.BeginStage(/*with_reference=*/state.Find("reference") != nullptr);
  for (const Optimizer::Named& n : StateOf(trainer))
    HONE_RETURN_IF_ERROR(
        state.Read(n.name, n.arena->data(), static_cast<size_t>(n.arena->bytes())));
  const std::map<std::string, std::string>& scalars = state.metadata(0);
  HONE_ASSIGN_OR_RETURN(const int64_t updates, DecodeInt64(scalars, "optimizer_steps"));
  trainer.optimizer().RestoreSteps(updates);
  Position position;
  HONE_ASSIGN_OR_RETURN(position.step, DecodeInt64(scalars, "step"));
  HONE_ASSIGN_OR_RETURN(position.stage_step, DecodeInt64(scalars, "stage_step"));
  const auto stage = scalars.find("stage");
  if (stage == scalars.end()) return absl::DataLossError(absl::StrCat(path, ": no stage"));
  position.stage = stage->second;
  return position;
}

}  // namespace hone
