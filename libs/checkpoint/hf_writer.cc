#include "libs/checkpoint/hf_writer.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "libs/base/status.h"

namespace hone {

absl::StatusOr<std::unique_ptr<HfWriter>> HfWriter::Create(FolderWriter& folder,
                                                           std::string subfolder,
                                                           const std::vector<TensorSpec>& tensors,
                                                           HfWriterOptions options) {
  if (tensors.empty())
    return absl::InvalidArgumentError(absl::StrCat("no tensors to write to ", folder.path()));
  if (options.max_shard_bytes <= 0)
    return absl::InvalidArgumentError(
        absl::StrCat("max_shard_bytes is ", options.max_shard_bytes, ", expected more than 0"));
  HONE_RETURN_IF_ERROR(CheckTensorSpecs(tensors));
  std::unique_ptr<HfWriter> writer(
      new HfWriter(folder, subfolder.empty() ? "" : subfolder + "/", std::move(options)));
  int64_t filled = 0;
  for (const TensorSpec& t : tensors) {
    const int64_t bytes = *ByteCount(t.dtype, t.shape);
    if (writer->shards_.empty() ||
        (filled > 0 && bytes > writer->options_.max_shard_bytes - filled)) {
      writer->shards_.emplace_back();
      filled = 0;
    }
    writer->shards_.back().tensors.push_back(t);
    writer->places_.emplace(t.name, Place{writer->shards_.size() - 1, bytes});
    filled += bytes;
    writer->total_bytes_ += bytes;
  }
  const size_t n = writer->shards_.size();
  for (size_t i = 0; i < n; ++i) {
    Shard& shard = writer->shards_[i];
    shard.file =
        n == 1 ? "model.safetensors" : absl::StrFormat("model-%05d-of-%05d.safetensors", i + 1, n);
    SortForFile(shard.tensors);
    writer->order_.insert(writer->order_.end(), shard.tensors.begin(), shard.tensors.end());
  }
  return writer;
}

absl::StatusOr<HfWriter::Shard*> HfWriter::Open(size_t index) {
  Shard& shard = shards_[index];
  if (shard.writer == nullptr) {
    HONE_ASSIGN_OR_RETURN(SafetensorsWriter opened,
                          SafetensorsWriter::Create(*folder_, prefix_ + shard.file, shard.tensors,
                                                    options_.metadata));
    shard.writer = std::make_unique<SafetensorsWriter>(std::move(opened));
  }
  return &shard;
}

absl::Status HfWriter::Write(absl::string_view name, const void* data, size_t bytes) {
  const auto it = places_.find(name);
  if (it != places_.end() && static_cast<size_t>(it->second.bytes) != bytes)
    return absl::InvalidArgumentError(absl::StrCat("tensor '", name, "' of ", folder_->path(),
                                                   " has ", it->second.bytes, " bytes, got ",
                                                   bytes));
  return WritePiece(name, 0, data, bytes);
}

absl::Status HfWriter::WritePiece(absl::string_view name, int64_t begin, const void* data,
                                  size_t bytes) {
  const auto it = places_.find(name);
  if (it == places_.end())
    return absl::NotFoundError(
        absl::StrCat("tensor '", name, "' was not announced for ", folder_->path()));
  if (shards_[it->second.shard].done)
    return bytes == 0 ? absl::OkStatus()
                      : absl::InvalidArgumentError(absl::StrCat(
                            "tensor '", name, "' of ", folder_->path(), " was written already"));
  HONE_ASSIGN_OR_RETURN(Shard* const shard, Open(it->second.shard));
  HONE_RETURN_IF_ERROR(shard->writer->WritePiece(name, begin, data, bytes));
  if (shard->writer->complete()) {
    HONE_RETURN_IF_ERROR(shard->writer->Finish());
    shard->writer.reset();
    shard->done = true;
  }
  return absl::OkStatus();
}

absl::Status HfWriter::CheckName(const std::string& name) const {
  if (absl::EndsWith(name, ".safetensors") || name == "model.safetensors.index.json")
    return absl::InvalidArgumentError(absl::StrCat("'", name, "' would be taken for weights"));
  return absl::OkStatus();
}

absl::Status HfWriter::AddFile(const std::string& name, absl::string_view contents) {
  HONE_RETURN_IF_ERROR(CheckName(name));
  return folder_->AddFile(prefix_ + name, contents);
}

absl::Status HfWriter::CopyFile(const std::string& name, const std::string& from) {
  HONE_RETURN_IF_ERROR(CheckName(name));
  return folder_->CopyFile(prefix_ + name, from);
}

absl::Status HfWriter::Finish() {
  for (size_t i = 0; i < shards_.size(); ++i) {
    if (shards_[i].done) continue;
    // Also the way to the end for shards whose tensors are all of size zero.
    HONE_ASSIGN_OR_RETURN(Shard* const shard, Open(i));
    HONE_RETURN_IF_ERROR(shard->writer->Finish());
    shard->writer.reset();
    shard->done = true;
  }
  if (shards_.size() == 1) return absl::OkStatus();
  nlohmann::json index = {{"metadata", {{"total_size", total_bytes_}}}};
  nlohmann::json& map = index["weight_map"] = nlohmann::json::object();
  for (const Shard& shard : shards_)
    for (const TensorSpec& t : shard.tensors) map[t.name] = shard.file;
  return folder_->AddFile(prefix_ + "model.safetensors.index.json", index.dump(2) + "\n");
}

}  // namespace hone
