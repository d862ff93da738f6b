#include "libs/config/config.h"

#include <memory>

#include "libs/base/file.h"
#include "libs/base/status.h"
#include "libs/config/reader.h"

namespace hone {

absl::Status ParseYaml(absl::string_view text, absl::string_view file,
                       google::protobuf::Message* message, ConfigPlaces* places) {
  ErrorList errors;
  std::shared_ptr<const YamlNode> root = ParseYamlTree(text, file, &errors);
  if (root == nullptr) return errors.ToStatus();
  // Read into a copy: a file with errors changes nothing.
  std::unique_ptr<google::protobuf::Message> copy(message->New());
  copy->CopyFrom(*message);
  ConfigPlaces found;
  internal::Reader reader([&](YamlMark mark) { return YamlPlace(file, mark); }, &errors, &found);
  reader.ReadMessage(*root, "", copy.get());
  HONE_RETURN_IF_ERROR(errors.ToStatus());
  message->GetReflection()->Swap(message, copy.get());
  if (places != nullptr) {
    for (auto& [path, place] : found) (*places)[path] = place;
  }
  return absl::OkStatus();
}

absl::Status ReadYamlFile(const std::string& path, google::protobuf::Message* message,
                          ConfigPlaces* places) {
  HONE_ASSIGN_OR_RETURN(const std::string text, ReadFile(path, kMaxYamlBytes));
  return ParseYaml(text, path, message, places);
}

std::string PlaceOf(const ConfigPlaces& places, absl::string_view path,
                    absl::string_view fallback) {
  for (std::string at(path); !at.empty();) {
    if (auto it = places.find(at); it != places.end()) return it->second;
    const size_t cut = at.find_last_of(".[");
    at.resize(cut == std::string::npos ? 0 : cut);
  }
  return std::string(fallback);
}

}  // namespace hone
