#include "libs/loop/training_checkpoint.h"

#include <algorithm>
#include <map>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/checkpoint/checkpoint.h"
#include "libs/checkpoint/checkpoint_writer.h"
#include "libs/checkpoint/train_state.h"
#include "libs/model/adapter.h"
#include "libs/model/save.h"
#include "libs/tensor/pieces.h"

namespace hone {
namespace {

StoredDType Stored(DType dtype) {
  return dtype == DType::kF32 ? StoredDType::kF32 : StoredDType::kBF16;
}

// The arenas of the training state beside the weights, by name.
std::vector<Optimizer::Named> StateOf(Trainer& trainer) {
  std::vector<Optimizer::Named> state = trainer.optimizer().State();
  if (Weights* reference = trainer.reference()) {
    state.push_back({"reference", &reference->trained()});
    state.push_back({"reference_biases", &reference->biases});
  }
  std::erase_if(state, [](const Optimizer::Named& n) { return n.arena->size() == 0; });
  return state;
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
    HONE_RETURN_IF_ERROR(ReadPieces(n.arena->table(), n.arena->data(), n.arena->bytes(),
                                    [&](const char* piece, int64_t begin, int64_t bytes) {
                                      return file.WritePiece(n.name, begin, piece,
                                                             static_cast<size_t>(bytes));
                                    }));
  return file.Finish();
}

}  // namespace

absl::StatusOr<std::string> SaveCheckpoint(const std::string& dir, int keep,
                                           const std::string& model_folder,
                                           const Transformer& transformer, Trainer& trainer,
                                           const Position& position) {
  HONE_ASSIGN_OR_RETURN(const auto writer, CheckpointWriter::Create(dir, position.step));
  const ParameterLayout& layout = transformer.layout();
  HONE_RETURN_IF_ERROR(
      layout.adapted()
          ? SaveAdapters(writer->folder(), "adapter", model_folder, layout, trainer.weights())
          : SaveModel(writer->folder(), "hf", model_folder, transformer.config(), layout,
                      trainer.weights()));
  HONE_RETURN_IF_ERROR(WriteState(*writer, trainer, position));
  HONE_RETURN_IF_ERROR(writer->FinishRank());
  HONE_RETURN_IF_ERROR(writer->Commit({{"stage", position.stage}}));
  HONE_RETURN_IF_ERROR(PruneCheckpoints(dir, std::max(1, keep)).status());
  return CheckpointPath(dir, position.step);
}

absl::StatusOr<Position> LoadCheckpoint(const std::string& path, v1::ModelSpec model,
                                        const ModelFolder& folder, const Transformer& transformer,
                                        Trainer& trainer) {
  HONE_ASSIGN_OR_RETURN(const Checkpoint checkpoint, Checkpoint::Open(path));
  if (transformer.layout().adapted()) {
    model.mutable_lora()->set_adapter(absl::StrCat(path, "/adapter"));
  } else {
    model.set_path(checkpoint.hf_path());
  }
  HONE_RETURN_IF_ERROR(
      LoadModelWeights(model, folder, transformer.layout(), trainer.weights()));
  trainer.WeightsChanged();
  HONE_ASSIGN_OR_RETURN(const StateReader state, checkpoint.OpenState());
  trainer.BeginStage(/*with_reference=*/state.Find("reference") != nullptr);
  for (const Optimizer::Named& n : StateOf(trainer))
    HONE_RETURN_IF_ERROR(WritePieces(n.arena->table(), n.arena->data(), n.arena->bytes(),
                                     [&](char* piece, int64_t begin, int64_t bytes) {
                                       const int64_t element = BytesOf(n.arena->dtype());
                                       return state.ReadElements(n.name, begin / element,
                                                                 bytes / element, piece,
                                                                 static_cast<size_t>(bytes));
                                     }));
  trainer.ReferenceChanged();
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
