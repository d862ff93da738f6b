#pragma once

// Writes the weights of a Hugging Face folder as a part of an atomic folder: `model.safetensors`,
// or numbered shards and their index, which is written last.
//
//   HONE_ASSIGN_OR_RETURN(auto folder, FolderWriter::Create("/ckpt/export"));
//   HONE_ASSIGN_OR_RETURN(auto writer, HfWriter::Create(*folder, "", specs));
//   for (const TensorSpec& t : writer->order()) HONE_RETURN_IF_ERROR(writer->Write(t.name, ...));
//   HONE_RETURN_IF_ERROR(writer->CopyFile("config.json", source + "/config.json"));
//   HONE_RETURN_IF_ERROR(writer->Finish());
//   HONE_RETURN_IF_ERROR(folder->Commit());

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/checkpoint/folder_writer.h"
#include "libs/checkpoint/safetensors_writer.h"
#include "libs/checkpoint/stored_dtype.h"

namespace hone {

struct HfWriterOptions {
  // A tensor is never split; one larger than this gets a shard of its own.
  int64_t max_shard_bytes = 5'000'000'000;
  // Loaders ask for `format`.
  std::map<std::string, std::string> metadata = {{"format", "pt"}};
};

// One thread at a time.
class HfWriter {
 public:
  // `folder` must outlive this; `subfolder` is "" or a relative path inside it. Shards are filled
  // in the order of `tensors`. INVALID_ARGUMENT for specs that a reader would refuse, or for none
  // at all.
  static absl::StatusOr<std::unique_ptr<HfWriter>> Create(FolderWriter& folder,
                                                          std::string subfolder,
                                                          const std::vector<TensorSpec>& tensors,
                                                          HfWriterOptions options = {});

  // All tensors in the order of the bytes in the files. Writing in this order keeps one shard open
  // and needs no second pass for checksums; any other order works too.
  const std::vector<TensorSpec>& order() const { return order_; }

  // See SafetensorsWriter. A shard is synced as soon as its last byte has come.
  absl::Status Write(absl::string_view name, const void* data, size_t bytes);
  absl::Status WritePiece(absl::string_view name, int64_t begin, const void* data, size_t bytes);

  // Files that belong beside the weights: config.json, tokenizer files. INVALID_ARGUMENT for names
  // that a loader would take for weights.
  absl::Status AddFile(const std::string& name, absl::string_view contents);
  absl::Status CopyFile(const std::string& name, const std::string& from);

  // Writes the index. FAILED_PRECONDITION while tensors are missing.
  absl::Status Finish();

 private:
  struct Shard {
    std::string file;
    std::vector<TensorSpec> tensors;
    std::unique_ptr<SafetensorsWriter> writer;  // while open
    bool done = false;
  };

  struct Place {
    size_t shard;
    int64_t bytes;
  };

  HfWriter(FolderWriter& folder, std::string prefix, HfWriterOptions options)
      : folder_(&folder), prefix_(std::move(prefix)), options_(std::move(options)) {}
  absl::StatusOr<Shard*> Open(size_t shard);
  absl::Status CheckName(const std::string& name) const;

  FolderWriter* folder_;
  std::string prefix_;  // "" or "subfolder/"
  HfWriterOptions options_;
  std::vector<Shard> shards_;
  std::vector<TensorSpec> order_;
  absl::flat_hash_map<std::string, Place> places_;
  int64_t total_bytes_ = 0;
};

}  // namespace hone
