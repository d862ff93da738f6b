#include "libs/checkpoint/hf_reader.h"

#include <algorithm>
#include <filesystem>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "libs/base/log.h"
#include "libs/base/status.h"
#include "libs/checkpoint/convert.h"

namespace hone {
namespace {

// Elements converted at a time: bounds the scratch memory whatever the tensor's size.
constexpr int64_t kChunk = int64_t{1} << 20;

std::string ShapeText(const std::vector<int64_t>& shape) {
  return absl::StrCat("[", absl::StrJoin(shape, ", "), "]");
}

int64_t CeilDiv(int64_t a, int64_t b) {
  return a / b + (a % b != 0);
}

}  // namespace

absl::StatusOr<HfReader> HfReader::Open(const std::string& dir) {
  HONE_ASSIGN_OR_RETURN(const HfIndex index, FindHfFiles(dir));
  HfReader reader;
  reader.dir_ = dir;
  HONE_ASSIGN_OR_RETURN(reader.blocks_, ReadFp8Blocks(dir));
  for (const std::string& file : index.files) {
    HONE_ASSIGN_OR_RETURN(SafetensorsFile opened,
                          SafetensorsFile::Open((std::filesystem::path(dir) / file).string()));
    reader.files_.push_back(std::move(opened));
  }
  int64_t total = 0;
  absl::flat_hash_map<absl::string_view, size_t> seen;
  for (size_t f = 0; f < reader.files_.size(); ++f) {
    for (const TensorEntry& entry : reader.files_[f].tensors()) {
      const auto [it, fresh] = seen.emplace(entry.name, f);
      if (!fresh)
        return absl::InvalidArgumentError(absl::StrCat(dir, ": tensor '", entry.name,
                                                       "' is in both ", index.files[it->second],
                                                       " and ", index.files[f]));
      if (!index.where.empty() && !index.where.count(entry.name)) {
        reader.Warn(
            absl::StrCat("tensor '", entry.name, "' of ", index.files[f], " is not in the index"));
        continue;
      }
      total += entry.bytes;
      reader.tensors_.push_back(
          {entry.name, entry.dtype, entry.shape, entry.bytes, index.files[f]});
      reader.places_.emplace(entry.name, Place{f, &entry});
    }
  }
  for (const auto& [name, file] : index.where) {
    const auto it = seen.find(name);
    if (it == seen.end() || index.files[it->second] != file)
      return absl::InvalidArgumentError(absl::StrCat(
          dir, ": the index says that tensor '", name, "' is in ", file, ", but it is ",
          it == seen.end() ? "in no listed file" : absl::StrCat("in ", index.files[it->second])));
  }
  if (index.total_size >= 0 && index.total_size != total)
    reader.Warn(
        absl::StrCat("the index claims ", index.total_size, " bytes, the tensors have ", total));
  std::sort(reader.tensors_.begin(), reader.tensors_.end(),
            [](const HfTensor& a, const HfTensor& b) { return a.name < b.name; });
  return reader;
}

void HfReader::Warn(std::string text) {
  Log(LogLevel::kWarning, "checkpoint", {{"folder", dir_}, {"detail", text}});
  warnings_.push_back(std::move(text));
}

const HfTensor* HfReader::Find(absl::string_view name) const {
  const auto it =
      std::lower_bound(tensors_.begin(), tensors_.end(), name,
                       [](const HfTensor& t, absl::string_view n) { return t.name < n; });
  return it != tensors_.end() && it->name == name ? &*it : nullptr;
}

absl::Status HfReader::Read(absl::string_view name, kernels::DType to, void* out, int64_t elements,
                            const HfReadOptions& options) const {
  const HfTensor* tensor = Find(name);
  if (tensor == nullptr)
    return absl::NotFoundError(absl::StrCat(dir_, " has no tensor '", name, "'"));
  if (const int64_t have = *ElementCount(tensor->shape); have != elements)
    return absl::InvalidArgumentError(absl::StrCat("tensor '", name, "' of ", dir_, " has shape ",
                                                   ShapeText(tensor->shape), " = ", have,
                                                   " elements, the model expects ", elements));
  return ReadElements(name, 0, elements, to, out, options);
}

absl::Status HfReader::ReadElements(absl::string_view name, int64_t first, int64_t count,
                                    kernels::DType to, void* out,
                                    const HfReadOptions& options) const {
  const auto it = places_.find(name);
  if (it == places_.end())
    return absl::NotFoundError(absl::StrCat(dir_, " has no tensor '", name, "'"));
  const Place& place = it->second;
  const int64_t total = *ElementCount(place.entry->shape);
  if (first < 0 || count < 0 || first > total || count > total - first)
    return absl::OutOfRangeError(absl::StrCat("tensor '", name, "' of ", dir_, " has ", total,
                                              " elements, asked for ", count, " from ", first,
                                              " on"));
  if (!IsWeight(place.entry->dtype))
    return absl::InvalidArgumentError(
        absl::StrCat("tensor '", name, "' of ", dir_, " has dtype ", Name(place.entry->dtype),
                     ", expected a weight (F32, BF16, F16, F64 or F8_E4M3)"));
  HONE_RETURN_IF_ERROR(place.entry->dtype == StoredDType::kF8E4M3
                           ? ReadFp8(place, first, count, to, out)
                           : ReadPlain(place, first, count, to, out));
  if (options.require_finite) {
    if (const int64_t bad = FirstNonFinite(to, out, count); bad >= 0)
      return absl::InvalidArgumentError(
          absl::StrCat("tensor '", name, "' of ", dir_, " is not finite at element ", first + bad));
  }
  return absl::OkStatus();
}

absl::Status HfReader::ReadPlain(const Place& place, int64_t first, int64_t count,
                                 kernels::DType to, void* out) const {
  const SafetensorsFile& file = files_[place.file];
  const StoredDType from = place.entry->dtype;
  const int64_t width = Bits(from) / 8;
  if ((from == StoredDType::kF32 && to == kernels::DType::kF32) ||
      (from == StoredDType::kBF16 && to == kernels::DType::kBF16))
    return file.ReadRange(*place.entry, first * width, out, static_cast<size_t>(count * width));
  const std::unique_ptr<std::byte[]> scratch(new std::byte[std::min(count, kChunk) * width]);
  for (int64_t done = 0; done < count; done += kChunk) {
    const int64_t n = std::min(kChunk, count - done);
    HONE_RETURN_IF_ERROR(file.ReadRange(*place.entry, (first + done) * width, scratch.get(),
                                        static_cast<size_t>(n * width)));
    Convert(from, scratch.get(), to, static_cast<std::byte*>(out) + done * ElementBytes(to), n);
  }
  return absl::OkStatus();
}

absl::Status HfReader::ReadFp8(const Place& place, int64_t first, int64_t count, kernels::DType to,
                               void* out) const {
  const TensorEntry& weight = *place.entry;
  const std::string scale_name = absl::StrCat(weight.name, kScaleSuffix);
  const auto it = places_.find(scale_name);
  if (it == places_.end())
    return absl::InvalidArgumentError(absl::StrCat(
        "tensor '", weight.name, "' of ", dir_, " is F8_E4M3 but there is no '", scale_name, "'"));
  const TensorEntry& scale = *it->second.entry;
  // [.., M, N] with scales [.., ceil(M / rows), ceil(N / columns)].
  std::vector<int64_t> want = weight.shape;
  const size_t rank = want.size();
  if (rank >= 2) {
    want[rank - 2] = CeilDiv(want[rank - 2], blocks_.rows);
    want[rank - 1] = CeilDiv(want[rank - 1], blocks_.columns);
  }
  if (rank < 2 || scale.shape != want || !IsWeight(scale.dtype) ||
      scale.dtype == StoredDType::kF8E4M3)
    return absl::InvalidArgumentError(absl::StrCat(
        "'", scale_name, "' of ", dir_, " is ", Name(scale.dtype), " ", ShapeText(scale.shape),
        ", expected F32 ", ShapeText(want), " for weights ", ShapeText(weight.shape),
        " in blocks of ", blocks_.rows, " x ", blocks_.columns));
  if (count == 0) return absl::OkStatus();

  const int64_t rows = weight.shape[rank - 2], columns = weight.shape[rank - 1];
  const int64_t scale_columns = want[rank - 1];
  const auto scale_row = [&](int64_t row) {
    return row / rows * want[rank - 2] + row % rows / blocks_.rows;
  };
  const int64_t first_scale = scale_row(first / columns);
  const int64_t scale_rows = scale_row((first + count - 1) / columns) + 1 - first_scale;
  std::vector<float> scales(static_cast<size_t>(scale_rows * scale_columns));
  HONE_RETURN_IF_ERROR(ReadPlain(it->second, first_scale * scale_columns,
                                 scale_rows * scale_columns, kernels::DType::kF32, scales.data()));

  std::vector<uint8_t> codes(static_cast<size_t>(std::min(count, kChunk)));
  for (int64_t done = 0; done < count;) {
    const int64_t n = std::min(kChunk, count - done);
    HONE_RETURN_IF_ERROR(
        files_[place.file].ReadRange(weight, first + done, codes.data(), static_cast<size_t>(n)));
    for (int64_t i = 0; i < n;) {
      const int64_t row = (first + done + i) / columns, column = (first + done + i) % columns;
      const int64_t take = std::min(n - i, columns - column);
      DequantizeRow(codes.data() + i, take, column,
                    scales.data() + (scale_row(row) - first_scale) * scale_columns, blocks_.columns,
                    to, static_cast<std::byte*>(out) + (done + i) * ElementBytes(to));
      i += take;
    }
    done += n;
  }
  return absl::OkStatus();
}

absl::Status HfReader::ReadRaw(absl::string_view name, int64_t begin, void* out,
                               size_t bytes) const {
  const auto it = places_.find(name);
  if (it == places_.end())
    return absl::NotFoundError(absl::StrCat(dir_, " has no tensor '", name, "'"));
  return files_[it->second.file].ReadRange(*it->second.entry, begin, out, bytes);
}

}  // namespace hone
