#include "libs/checkpoint/hf_index.h"

#include <algorithm>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "libs/base/file.h"
#include "libs/base/status.h"
#include "libs/json/strict_json.h"

namespace hone {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr char kIndexFile[] = "model.safetensors.index.json";
constexpr char kSingleFile[] = "model.safetensors";
constexpr int64_t kMaxIndexBytes = 400'000'000;

absl::Status Invalid(const std::string& path, absl::string_view detail) {
  return absl::InvalidArgumentError(absl::StrCat(path, ": ", detail));
}

// No separators, no "..", nothing absolute: an index must not reach out of its folder.
bool IsPlainName(const std::string& name) {
  return !name.empty() && name.size() <= 255 && name[0] != '.' &&
         name.find_first_of(std::string("/\\\0", 3)) == std::string::npos;
}

absl::StatusOr<HfIndex> ReadIndex(const std::string& dir, const std::string& path) {
  HONE_ASSIGN_OR_RETURN(const std::string text, ReadFile(path, kMaxIndexBytes));
  HONE_ASSIGN_OR_RETURN(const json index, ParseJsonObject(text, path));
  const auto map = index.find("weight_map");
  if (map == index.end() || !map->is_object() || map->empty())
    return Invalid(path, "weight_map is missing, empty or not an object");
  HfIndex out;
  std::set<std::string> files;
  for (const auto& [name, file] : map->items()) {
    if (!file.is_string())
      return Invalid(path, absl::StrCat("weight_map['", name, "'] is ", file.type_name(),
                                        ", expected a file name"));
    const std::string& base = file.get_ref<const std::string&>();
    if (!IsPlainName(base) || !absl::EndsWith(base, ".safetensors"))
      return Invalid(path, absl::StrCat("weight_map['", name, "'] is '", base,
                                        "', expected the plain name of a .safetensors file"));
    files.insert(base);
    out.where.emplace(name, base);
  }
  std::error_code error;
  for (const std::string& file : files)
    if (!fs::exists(fs::path(dir) / file, error))
      return Invalid(path, absl::StrCat("lists '", file, "', which is not in the folder"));
  if (!files.count(kSingleFile) && fs::exists(fs::path(dir) / kSingleFile, error))
    return Invalid(
        path,
        "model.safetensors is beside an index that does not list it: which of the two is meant?");
  if (const auto meta = index.find("metadata"); meta != index.end() && meta->is_object()) {
    const auto total = meta->find("total_size");
    // Some writers store it as a float; then it is no claim worth checking.
    if (total != meta->end() && total->is_number_unsigned() &&
        total->get<uint64_t>() <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max()))
      out.total_size = total->get<int64_t>();
  }
  out.files.assign(files.begin(), files.end());
  return out;
}

}  // namespace

absl::StatusOr<HfIndex> FindHfFiles(const std::string& dir) {
  std::error_code error;
  if (!fs::is_directory(dir, error)) {
    if (!fs::exists(dir, error)) return absl::NotFoundError(absl::StrCat(dir, " does not exist"));
    return absl::InvalidArgumentError(absl::StrCat(dir, " is not a folder"));
  }
  const std::string index = (fs::path(dir) / kIndexFile).string();
  if (fs::exists(index, error)) return ReadIndex(dir, index);
  if (fs::exists(fs::path(dir) / kSingleFile, error)) return HfIndex{{kSingleFile}, {}, -1};

  std::vector<std::string> pickled, others;
  for (fs::directory_iterator it(dir, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (absl::EndsWith(name, ".bin") || absl::EndsWith(name, ".pt") || absl::EndsWith(name, ".pth"))
      pickled.push_back(name);
    if (absl::EndsWith(name, ".safetensors")) others.push_back(name);
  }
  if (error) return absl::InternalError(absl::StrCat("cannot list ", dir, ": ", error.message()));
  std::sort(pickled.begin(), pickled.end());
  std::sort(others.begin(), others.end());
  if (!others.empty())
    return absl::NotFoundError(absl::StrCat(dir, " has ", absl::StrJoin(others, ", "),
                                            " but neither ", kSingleFile, " nor ", kIndexFile));
  if (!pickled.empty())
    return absl::FailedPreconditionError(absl::StrCat(
        dir, " has only pickled weights (", absl::StrJoin(pickled, ", "),
        "): loading them would run code from the file; convert them to safetensors first"));
  return absl::NotFoundError(absl::StrCat(dir, " has neither ", kSingleFile, " nor ", kIndexFile));
}

absl::StatusOr<Fp8Blocks> ReadFp8Blocks(const std::string& dir) {
  const std::string path = (fs::path(dir) / "config.json").string();
  absl::StatusOr<std::string> text = ReadFile(path, kMaxConfigBytes);
  if (absl::IsNotFound(text.status())) return Fp8Blocks{};
  if (!text.ok()) return text.status();
  HONE_ASSIGN_OR_RETURN(const json config, ParseJsonObject(*text, path));
  const auto quantization = config.find("quantization_config");
  if (quantization == config.end() || quantization->is_null()) return Fp8Blocks{};
  if (!quantization->is_object())
    return Invalid(path, absl::StrCat("quantization_config is ", quantization->type_name(),
                                      ", expected an object"));
  const auto method = quantization->find("quant_method");
  const std::string name = method == quantization->end() ? "missing" : method->dump();
  if (name != "\"fp8\"")
    return absl::UnimplementedError(absl::StrCat(path, ": quantization_config.quant_method is ",
                                                 name, ", only \"fp8\" can be read"));
  const auto size = quantization->find("weight_block_size");
  if (size == quantization->end() || !size->is_array() || size->size() != 2)
    return absl::UnimplementedError(
        absl::StrCat(path, ": quantization_config.weight_block_size is ",
                     size == quantization->end() ? "missing" : size->dump(),
                     ", only blocks [rows, columns] can be read"));
  Fp8Blocks blocks;
  for (int i = 0; i < 2; ++i) {
    const json& n = (*size)[i];
    if (!n.is_number_unsigned() || n.get<uint64_t>() == 0 || n.get<uint64_t>() > 1'000'000)
      return Invalid(path, absl::StrCat("quantization_config.weight_block_size has ", n.dump(),
                                        ", expected 1 to 1000000"));
    (i == 0 ? blocks.rows : blocks.columns) = n.get<int64_t>();
  }
  return blocks;
}

}  // namespace hone
