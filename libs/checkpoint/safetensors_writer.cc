#include "libs/checkpoint/safetensors_writer.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "libs/base/check.h"
#include "libs/base/status.h"
#include "libs/json/strict_json.h"

namespace hone {

absl::Status CheckTensorSpecs(const std::vector<TensorSpec>& tensors) {
  absl::flat_hash_set<absl::string_view> names;
  int64_t total = 0;
  for (const TensorSpec& t : tensors) {
    const auto invalid = [&](absl::string_view detail) {
      return absl::InvalidArgumentError(absl::StrCat("tensor '", t.name, "' ", detail));
    };
    if (t.name.empty() || t.name.size() > kMaxTensorNameBytes || t.name == "__metadata__" ||
        !IsUtf8(t.name))
      return invalid(absl::StrCat("needs a UTF-8 name of 1 to ", kMaxTensorNameBytes, " bytes"));
    if (!names.insert(t.name).second) return invalid("is named twice");
    if (t.shape.size() > kMaxTensorRank)
      return invalid(
          absl::StrCat("has ", t.shape.size(), " dimensions, the limit is ", kMaxTensorRank));
    const absl::optional<int64_t> bytes = ByteCount(t.dtype, t.shape);
    if (!bytes || __builtin_add_overflow(total, *bytes, &total))
      return invalid("has a negative dimension, too many elements, or ends inside a byte");
  }
  return absl::OkStatus();
}

void SortForFile(std::vector<TensorSpec>& tensors) {
  std::sort(tensors.begin(), tensors.end(), [](const TensorSpec& a, const TensorSpec& b) {
    const int wa = Bits(a.dtype), wb = Bits(b.dtype);
    return wa != wb ? wa > wb : a.name < b.name;
  });
}

absl::StatusOr<SafetensorsWriter> SafetensorsWriter::Create(
    FolderWriter& folder, std::string relative, std::vector<TensorSpec> tensors,
    std::map<std::string, std::string> metadata) {
  HONE_RETURN_IF_ERROR(CheckTensorSpecs(tensors));
  for (const auto& [key, value] : metadata)
    if (!IsUtf8(key) || !IsUtf8(value))
      return absl::InvalidArgumentError(
          absl::StrCat("metadata '", key, "' of ", relative, " is not UTF-8"));
  SortForFile(tensors);
  const std::string header = BuildSafetensorsHeader(tensors, metadata);
  if (static_cast<int64_t>(header.size()) - kSafetensorsPrefix > kMaxHeaderBytes)
    return absl::InvalidArgumentError(absl::StrCat("the header of ", relative, " would have ",
                                                   header.size(), " bytes, readers accept ",
                                                   kMaxHeaderBytes));
  std::vector<TensorEntry> entries;
  int64_t offset = static_cast<int64_t>(header.size());
  for (TensorSpec& t : tensors) {
    const int64_t bytes = *ByteCount(t.dtype, t.shape);
    entries.push_back({std::move(t.name), t.dtype, std::move(t.shape), offset, bytes});
    offset += bytes;
  }
  HONE_ASSIGN_OR_RETURN(OutputFile file, folder.Begin(relative, offset));
  HONE_RETURN_IF_ERROR(file.WriteAt(0, header.data(), header.size()));
  SafetensorsWriter writer(folder, std::move(relative), std::move(file));
  writer.missing_bytes_ = offset - static_cast<int64_t>(header.size());
  writer.written_.assign(entries.size(), 0);
  for (size_t i = 0; i < entries.size(); ++i) writer.index_.emplace(entries[i].name, i);
  writer.entries_ = std::move(entries);
  return writer;
}

absl::Status SafetensorsWriter::Write(absl::string_view name, const void* data, size_t bytes) {
  const auto it = index_.find(name);
  if (it != index_.end() && static_cast<size_t>(entries_[it->second].bytes) != bytes)
    return absl::InvalidArgumentError(absl::StrCat("tensor '", name, "' of ", relative_, " has ",
                                                   entries_[it->second].bytes, " bytes, got ",
                                                   bytes));
  return WritePiece(name, 0, data, bytes);
}

absl::Status SafetensorsWriter::WritePiece(absl::string_view name, int64_t begin, const void* data,
                                           size_t bytes) {
  const auto it = index_.find(name);
  if (it == index_.end())
    return absl::NotFoundError(
        absl::StrCat("tensor '", name, "' was not announced for ", relative_));
  const TensorEntry& entry = entries_[it->second];
  int64_t& written = written_[it->second];
  if (begin != written || bytes > static_cast<size_t>(entry.bytes - written))
    return absl::InvalidArgumentError(absl::StrCat("tensor '", name, "' of ", relative_, " has ",
                                                   written, " of ", entry.bytes, " bytes, got ",
                                                   bytes, " for byte ", begin));
  HONE_RETURN_IF_ERROR(file_.WriteAt(entry.offset + begin, data, bytes));
  written += static_cast<int64_t>(bytes);
  missing_bytes_ -= static_cast<int64_t>(bytes);
  return absl::OkStatus();
}

absl::Status SafetensorsWriter::Finish() {
  for (size_t i = 0; i < entries_.size(); ++i)
    if (written_[i] != entries_[i].bytes)
      return absl::FailedPreconditionError(absl::StrCat("tensor '", entries_[i].name, "' of ",
                                                        relative_, " has ", written_[i], " of ",
                                                        entries_[i].bytes, " bytes"));
  return folder_->End(relative_, std::move(file_));
}

}  // namespace hone
