#include "libs/checkpoint/manifest.h"

#include <sys/stat.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "libs/base/file.h"
#include "libs/base/status.h"
#include "libs/json/strict_json.h"

namespace hone {
namespace {

using nlohmann::json;

constexpr char kFormat[] = "hone-checkpoint";
constexpr int kVersion = 1;
constexpr int64_t kMaxManifestBytes = 400'000'000;

// Hexadecimal, because JSON numbers lose bits beyond 2^53 in many readers.
std::string Hex(uint64_t value) {
  return absl::StrFormat("%016x", value);
}

bool Inside(const std::string& path) {
  for (absl::string_view name : absl::StrSplit(path, '/'))
    if (name.empty() || name == "." || name == "..") return false;
  return path.find('\0') == std::string::npos;
}

}  // namespace

std::string FormatManifest(const Manifest& manifest) {
  json files = json::array();
  for (const FileRecord& f : manifest.files)
    files.push_back({{"path", f.path}, {"bytes", f.bytes}, {"xxh3", Hex(f.xxh3)}});
  json out = {{"format", kFormat},
              {"version", kVersion},
              {"step", manifest.step},
              {"info", json(manifest.info)},
              {"files", std::move(files)}};
  if (manifest.info.empty()) out["info"] = json::object();
  // Keys are sorted, so the compact text is a canonical form. Invalid UTF-8 is replaced rather than
  // thrown at: writers are asked for UTF-8.
  const std::string canonical = out.dump(-1, ' ', false, json::error_handler_t::replace);
  out["checksum"] = Hex(Checksum(canonical));
  return out.dump(1, ' ', false, json::error_handler_t::replace) + "\n";
}

absl::StatusOr<Manifest> ParseManifest(absl::string_view text, absl::string_view what) {
  const auto lost = [&](absl::string_view detail) {
    return absl::DataLossError(absl::StrCat(what, ": ", detail));
  };
  absl::StatusOr<json> parsed = ParseJsonObject(text, what);
  if (!parsed.ok()) return absl::DataLossError(parsed.status().message());
  json& in = *parsed;
  const auto checksum = in.find("checksum");
  if (checksum == in.end() || !checksum->is_string()) return lost("has no checksum");
  const std::string claimed = checksum->get<std::string>();
  in.erase("checksum");
  if (const std::string is = Hex(Checksum(in.dump())); is != claimed)
    return lost(absl::StrCat("has checksum ", is, ", expected ", claimed));
  // From here on the text is what some writer meant; another version of it may mean something else.
  if (!in.contains("format") || in["format"] != kFormat || !in.contains("version") ||
      in["version"] != kVersion)
    return lost(absl::StrCat("is not ", kFormat, " version ", kVersion));
  const auto step = in.find("step"), info = in.find("info"), files = in.find("files");
  if (step == in.end() || !step->is_number_integer() || info == in.end() || !info->is_object() ||
      files == in.end() || !files->is_array())
    return lost("lacks step, info or files");
  Manifest out;
  out.step = step->get<int64_t>();
  for (const auto& [key, value] : info->items()) {
    if (!value.is_string()) return lost(absl::StrCat("info '", key, "' is not a string"));
    out.info[key] = value.get<std::string>();
  }
  for (const json& f : *files) {
    FileRecord record;
    if (!f.is_object() || !f.contains("path") || !f["path"].is_string() || !f.contains("bytes") ||
        !f["bytes"].is_number_unsigned() || !f.contains("xxh3") || !f["xxh3"].is_string())
      return lost(absl::StrCat("has the entry ", f.dump()));
    record.path = f["path"].get<std::string>();
    record.bytes = f["bytes"].get<int64_t>();
    if (!Inside(record.path) || !absl::SimpleHexAtoi(f["xxh3"].get<std::string>(), &record.xxh3))
      return lost(absl::StrCat("has the entry ", f.dump()));
    out.files.push_back(std::move(record));
  }
  return out;
}

absl::StatusOr<Manifest> VerifyFolder(const std::string& folder, Verify verify) {
  const std::string path = absl::StrCat(folder, "/", kManifestFile);
  HONE_ASSIGN_OR_RETURN(const std::string text, ReadFile(path, kMaxManifestBytes));
  HONE_ASSIGN_OR_RETURN(Manifest manifest, ParseManifest(text, path));
  for (const FileRecord& want : manifest.files) {
    const std::string file = absl::StrCat(folder, "/", want.path);
    struct stat st;
    if (stat(file.c_str(), &st) != 0 || !S_ISREG(st.st_mode))
      return absl::DataLossError(absl::StrCat(file, " is missing, its manifest lists it"));
    if (st.st_size != want.bytes)
      return absl::DataLossError(
          absl::StrCat(file, " has ", st.st_size, " bytes, its manifest says ", want.bytes));
    if (verify == Verify::kSizes) continue;
    HONE_ASSIGN_OR_RETURN(const FileRecord is, RecordOf(file));
    if (is.bytes != want.bytes || is.xxh3 != want.xxh3)
      return absl::DataLossError(absl::StrCat(file, " has checksum ", Hex(is.xxh3),
                                              ", its manifest says ", Hex(want.xxh3)));
  }
  return manifest;
}

}  // namespace hone
