#pragma once

// YAML files <-> protobuf messages. The keys of a file are the field names of the message; nothing
// else is known, so a new field of a .proto is a new key without a line of code here.
//
//   message, Struct, map   a map                       repeated   a list
//   int32 .. uint64        plain decimal, in range     float      plain number, finite
//   bool                   true or false               enum       short lower-case name (`bf16`) or
//   the full one string                 any scalar                  Duration   30s, 500ms, 1h30m
//
// Anchors, aliases and "<<" work; unknown keys, duplicate keys, tags, several documents, two
// members of a oneof and texts beyond the limits of yaml_tree.h are errors. All functions are pure
// and thread-safe.

#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/message.h"

namespace hone {

// Where each value was written: "stages[1].grpo.steps" -> "run.yaml:12:7" or "--set
// stages.1.grpo.steps=3".
using ConfigPlaces = std::map<std::string, std::string>;

// Merges `text` into `message`; `file` only names it in errors. INVALID_ARGUMENT lists up to 20
// errors, one "file:line:column: path: what (expected what)" per line; `message` is then unchanged.
absl::Status ParseYaml(absl::string_view text, absl::string_view file,
                       google::protobuf::Message* message, ConfigPlaces* places = nullptr);

// The same for a file; the errors of ReadFile (libs/base/file.h) when it cannot be read.
absl::Status ReadYamlFile(const std::string& path, google::protobuf::Message* message,
                          ConfigPlaces* places = nullptr);

// Applies "path=value" assignments in order, with the same checks; the place of an error is
// "--set path=value". A path is `stages.1.grpo.steps` or `stages[1].grpo.steps`; it may lead
// through maps and Structs, and into list elements that exist, or the one just past the end. The
// value is YAML, but for a string field it is taken literally. The old value is replaced as a
// whole; an empty value clears the field.
absl::Status ApplyOverrides(const std::vector<std::string>& assignments,
                            google::protobuf::Message* message, ConfigPlaces* places = nullptr);

// The place of `path`, or of the nearest enclosing value that was written, or `fallback`.
std::string PlaceOf(const ConfigPlaces& places, absl::string_view path, absl::string_view fallback);

// `message` as YAML that ParseYaml reads back to the same message. Numbers and bools are printed
// even when they are zero, so that the effective value of everything is visible; unset messages,
// oneof members, enums and empty strings and lists are left out.
std::string ToYaml(const google::protobuf::Message& message);

}  // namespace hone
