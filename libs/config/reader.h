#pragma once

// Internal to libs/config: puts YAML nodes into protobuf messages by reflection.

#include <functional>
#include <map>
#include <string>

#include "absl/strings/string_view.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"
#include "google/protobuf/struct.pb.h"
#include "libs/config/error_list.h"
#include "libs/config/yaml_tree.h"

namespace hone::internal {

// Where each value of a message was written: field path ("stages[1].grpo.steps") -> place
// ("run.yaml:12:7").
using PlaceMap = std::map<std::string, std::string>;

// Not thread-safe. Every wrong value adds one error and leaves its field alone; reading goes on.
class Reader {
 public:
  // `place` names a node for errors. `errors` and `places` (may be null) outlive the reader.
  Reader(std::function<std::string(YamlMark)> place, ErrorList* errors, PlaceMap* places)
      : place_(std::move(place)), errors_(errors), places_(places) {}

  // Merges `node` into `message`, whose own path is `path` ("" at the root).
  void ReadMessage(const YamlNode& node, const std::string& path,
                   google::protobuf::Message* message);
  // Sets or, for repeated fields, appends `node` to `field` of `message`. `path` is that of the
  // field.
  void ReadField(const YamlNode& node, YamlMark key, const google::protobuf::FieldDescriptor* field,
                 const std::string& path, google::protobuf::Message* message);
  void ReadValue(const YamlNode& node, google::protobuf::Value* value);

  // The field of `type` called `name`, or null after an error that suggests one.
  const google::protobuf::FieldDescriptor* FindField(const google::protobuf::Descriptor* type,
                                                     const std::string& name, YamlMark mark,
                                                     const std::string& path);
  // False, after an error, when another member of `field`'s oneof is set already.
  bool CheckOneof(const google::protobuf::FieldDescriptor* field, YamlMark mark,
                  const std::string& path, const google::protobuf::Message& message);
  // Adds "<place>: <path>: <what>".
  void Error(YamlMark mark, absl::string_view path, absl::string_view what);

 private:
  void ReadMap(const YamlNode& node, const google::protobuf::FieldDescriptor* field,
               const std::string& path, google::protobuf::Message* message);
  void ReadSingular(const YamlNode& node, const google::protobuf::FieldDescriptor* field,
                    const std::string& path, google::protobuf::Message* message);
  void ReadNumber(const YamlNode& node, const google::protobuf::FieldDescriptor* field,
                  const std::string& path, google::protobuf::Message* message);
  void ReadEnum(const YamlNode& node, const google::protobuf::FieldDescriptor* field,
                const std::string& path, google::protobuf::Message* message);
  void ReadDuration(const YamlNode& node, const std::string& path,
                    google::protobuf::Message* message);
  void Place(YamlMark mark, const std::string& path);

  const std::function<std::string(YamlMark)> place_;
  ErrorList* const errors_;
  PlaceMap* const places_;
};

// Well-known types that are written as plain YAML.
bool IsStruct(const google::protobuf::Descriptor* type);
google::protobuf::Struct* AsStruct(google::protobuf::Message* message);

// The name under which a YAML file writes an enum value: lower case, without the enum's own prefix.
std::string ShortEnumName(const google::protobuf::EnumValueDescriptor* value);

// "base.name", or "name" at the root.
std::string JoinPath(const std::string& base, absl::string_view name);

}  // namespace hone::internal
