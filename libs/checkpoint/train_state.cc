#include "libs/checkpoint/train_state.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "libs/base/status.h"
#include "libs/json/strict_json.h"

namespace hone {
namespace {

using nlohmann::json;

constexpr char kSlicesKey[] = "hone.slices";

struct SliceInfo {
  std::vector<int64_t> shape;
  int64_t begin = 0;
};

// {"name": {"begin": 12, "shape": [3, 4]}} for the tensors of which a file holds a part.
absl::StatusOr<std::map<std::string, SliceInfo>> ParseSlices(const SafetensorsFile& file) {
  std::map<std::string, SliceInfo> out;
  const auto text = file.metadata().find(kSlicesKey);
  if (text == file.metadata().end()) return out;
  const std::string what = absl::StrCat(file.path(), ": metadata '", kSlicesKey, "'");
  HONE_ASSIGN_OR_RETURN(const json slices, ParseJsonObject(text->second, what));
  for (const auto& [name, value] : slices.items()) {
    SliceInfo info;
    bool good = value.is_object() && value.contains("begin") &&
                value["begin"].is_number_unsigned() && value.contains("shape") &&
                value["shape"].is_array() && value["shape"].size() <= kMaxTensorRank;
    if (good) {
      info.begin = value["begin"].get<int64_t>();
      for (const json& dim : value["shape"]) {
        good = good && dim.is_number_unsigned();
        if (good) info.shape.push_back(dim.get<int64_t>());
      }
    }
    if (!good || info.begin < 0 || !ElementCount(info.shape))
      return absl::DataLossError(absl::StrCat(what, " has the entry '", name, "': ", value.dump()));
    out.emplace(name, std::move(info));
  }
  return out;
}

}  // namespace

std::string EncodeScalar(int64_t value) {
  return absl::StrCat(value);
}

std::string EncodeScalar(double value) {
  return absl::StrFormat("%a", value);
}

absl::StatusOr<int64_t> DecodeInt64(const std::map<std::string, std::string>& metadata,
                                    const std::string& key) {
  const auto it = metadata.find(key);
  if (it == metadata.end())
    return absl::NotFoundError(absl::StrCat("the state has no '", key, "'"));
  int64_t value;
  if (!absl::SimpleAtoi(it->second, &value))
    return absl::DataLossError(
        absl::StrCat("'", key, "' of the state is '", it->second, "', expected an integer"));
  return value;
}

absl::StatusOr<double> DecodeDouble(const std::map<std::string, std::string>& metadata,
                                    const std::string& key) {
  const auto it = metadata.find(key);
  if (it == metadata.end())
    return absl::NotFoundError(absl::StrCat("the state has no '", key, "'"));
  // strtod, because absl::from_chars wants hexadecimal without its prefix.
  char* end = nullptr;
  const double value = std::strtod(it->second.c_str(), &end);
  if (it->second.empty() || end != it->second.c_str() + it->second.size())
    return absl::DataLossError(
        absl::StrCat("'", key, "' of the state is '", it->second, "', expected a number"));
  return value;
}

absl::StatusOr<SafetensorsWriter> CreateStateFile(FolderWriter& folder, std::string relative,
                                                  const std::vector<StateSlice>& slices,
                                                  std::map<std::string, std::string> metadata) {
  if (metadata.count(kSlicesKey))
    return absl::InvalidArgumentError(
        absl::StrCat("metadata '", kSlicesKey, "' of ", relative, " is reserved"));
  std::vector<TensorSpec> specs;
  json parts = json::object();
  for (const StateSlice& s : slices) {
    const auto invalid = [&](absl::string_view detail) {
      return absl::InvalidArgumentError(
          absl::StrCat("slice of tensor '", s.name, "' for ", relative, " ", detail));
    };
    if (!IsUtf8(s.name)) return invalid("has a name that is not UTF-8");
    const absl::optional<int64_t> total = ElementCount(s.shape);
    if (!total || Bits(s.dtype) % 8 != 0) return invalid("has no countable elements");
    if (s.begin < 0 || s.begin > *total)
      return invalid(absl::StrCat("begins at ", s.begin, " of ", *total));
    const int64_t count = s.count < 0 ? *total - s.begin : s.count;
    if (count > *total - s.begin)
      return invalid(
          absl::StrCat("has ", count, " elements from ", s.begin, " on, the tensor has ", *total));
    if (count == *total) {
      specs.push_back({s.name, s.dtype, s.shape});
    } else {
      specs.push_back({s.name, s.dtype, {count}});
      parts[s.name] = {{"begin", s.begin}, {"shape", s.shape}};
    }
  }
  if (!parts.empty()) metadata[kSlicesKey] = parts.dump();
  return SafetensorsWriter::Create(folder, std::move(relative), std::move(specs),
                                   std::move(metadata));
}

absl::StatusOr<StateReader> StateReader::Open(const std::vector<std::string>& paths) {
  StateReader reader;
  for (const std::string& path : paths) {
    HONE_ASSIGN_OR_RETURN(SafetensorsFile file, SafetensorsFile::Open(path));
    reader.files_.push_back(std::move(file));
  }
  absl::flat_hash_map<std::string, Tensor> tensors;
  for (size_t f = 0; f < reader.files_.size(); ++f) {
    HONE_ASSIGN_OR_RETURN(const auto slices, ParseSlices(reader.files_[f]));
    for (const TensorEntry& entry : reader.files_[f].tensors()) {
      const auto slice = slices.find(entry.name);
      const bool whole = slice == slices.end();
      const std::vector<int64_t>& shape = whole ? entry.shape : slice->second.shape;
      const int64_t total = *ElementCount(shape), count = *ElementCount(entry.shape);
      const int64_t begin = whole ? 0 : slice->second.begin;
      const auto [it, fresh] =
          tensors.emplace(entry.name, Tensor{entry.name, entry.dtype, shape, total});
      if (!fresh && (it->second.dtype != entry.dtype || it->second.shape != shape))
        return absl::DataLossError(
            absl::StrCat("tensor '", entry.name, "' of ", paths[f],
                         " has another dtype or shape than in the files before it"));
      if (Bits(entry.dtype) % 8 != 0 || begin > total || count > total - begin)
        return absl::DataLossError(absl::StrCat("tensor '", entry.name, "' of ", paths[f], " has ",
                                                count, " elements from ", begin,
                                                " on, the whole has ", total));
      std::vector<Part>& parts = reader.parts_[entry.name];
      if (count > 0) parts.push_back({f, &entry, begin, count});
    }
  }
  for (auto& [name, tensor] : tensors) {
    std::vector<Part>& parts = reader.parts_[name];
    std::sort(parts.begin(), parts.end(),
              [](const Part& a, const Part& b) { return a.begin < b.begin; });
    int64_t next = 0;
    for (const Part& part : parts) {
      if (part.begin != next)
        return absl::DataLossError(absl::StrCat(
            "tensor '", name, "': ", paths[part.file], " holds elements from ", part.begin,
            " on, expected ", next, part.begin < next ? " (overlap)" : " (a file is missing)"));
      next += part.count;
    }
    if (next != tensor.elements)
      return absl::DataLossError(absl::StrCat("tensor '", name, "' has ", next, " of ",
                                              tensor.elements, " elements in ", paths.size(),
                                              " files (a file is missing)"));
    reader.tensors_.push_back(std::move(tensor));
  }
  std::sort(reader.tensors_.begin(), reader.tensors_.end(),
            [](const Tensor& a, const Tensor& b) { return a.name < b.name; });
  return reader;
}

const StateReader::Tensor* StateReader::Find(absl::string_view name) const {
  const auto it = std::lower_bound(tensors_.begin(), tensors_.end(), name,
                                   [](const Tensor& t, absl::string_view n) { return t.name < n; });
  return it != tensors_.end() && it->name == name ? &*it : nullptr;
}

absl::Status StateReader::ReadElements(absl::string_view name, int64_t first, int64_t count,
                                       void* out, size_t bytes) const {
  const Tensor* tensor = Find(name);
  if (tensor == nullptr)
    return absl::NotFoundError(absl::StrCat("the state has no tensor '", name, "'"));
  if (first < 0 || count < 0 || first > tensor->elements || count > tensor->elements - first)
    return absl::OutOfRangeError(absl::StrCat("tensor '", name, "' of the state has ",
                                              tensor->elements, " elements, asked for ", count,
                                              " from ", first, " on"));
  const int64_t width = Bits(tensor->dtype) / 8;
  if (bytes != static_cast<size_t>(count * width))
    return absl::InvalidArgumentError(absl::StrCat(count, " elements of tensor '", name, "' (",
                                                   Name(tensor->dtype), ") have ", count * width,
                                                   " bytes, the caller expected ", bytes));
  char* to = static_cast<char*>(out);
  for (const Part& part : parts_.find(name)->second) {
    const int64_t begin = std::max(first, part.begin);
    const int64_t end = std::min(first + count, part.begin + part.count);
    if (begin >= end) continue;
    HONE_RETURN_IF_ERROR(files_[part.file].ReadRange(*part.entry, (begin - part.begin) * width,
                                                     to + (begin - first) * width,
                                                     static_cast<size_t>((end - begin) * width)));
  }
  return absl::OkStatus();
}

absl::Status StateReader::Read(absl::string_view name, void* out, size_t bytes) const {
  const Tensor* tensor = Find(name);
  return ReadElements(name, 0, tensor == nullptr ? 0 : tensor->elements, out, bytes);
}

}  // namespace hone
