#include "libs/config/reader.h"

#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "google/protobuf/duration.pb.h"
#include "libs/config/suggest.h"

namespace hone::internal {
namespace {

namespace pb = google::protobuf;
using Kind = YamlNode::Kind;

std::string Describe(const YamlNode& node) {
  switch (node.kind) {
    case Kind::kNull:
      return "no value";
    case Kind::kList:
      return "a list";
    case Kind::kMap:
      return "a map";
    case Kind::kScalar:
      break;
  }
  const absl::string_view text(node.scalar);
  return text.size() <= 60 ? absl::StrCat("\"", text, "\"")
                           : absl::StrCat("\"", text.substr(0, 57), "...\"");
}

bool IsPlain(const YamlNode& node) {
  return node.kind == Kind::kScalar && !node.quoted;
}

// "-12", "+3", "40"; neither "0x1f" nor "010", which YAML versions read differently.
bool IsDecimal(absl::string_view s) {
  if (!s.empty() && (s[0] == '-' || s[0] == '+')) s.remove_prefix(1);
  if (s.empty() || (s[0] == '0' && s.size() > 1)) return false;
  for (char c : s)
    if (!absl::ascii_isdigit(c)) return false;
  return true;
}

// JSON-like numbers only: no "nan", "inf", hexadecimal or surrounding blanks.
bool ParseReal(absl::string_view s, double* out) {
  if (s.find_first_not_of("+-.0123456789eE") != absl::string_view::npos) return false;
  return absl::SimpleAtod(s, out);
}

std::vector<std::string> FieldNames(const pb::Descriptor* type) {
  std::vector<std::string> names;
  for (int i = 0; i < type->field_count(); ++i) names.push_back(type->field(i)->name());
  return names;
}

std::string UpperSnake(absl::string_view camel) {
  std::string out;
  for (size_t i = 0; i < camel.size(); ++i) {
    if (i > 0 && absl::ascii_isupper(camel[i]) && !absl::ascii_isupper(camel[i - 1])) out += '_';
    out += absl::ascii_toupper(camel[i]);
  }
  return out;
}

}  // namespace

std::string JoinPath(const std::string& base, absl::string_view name) {
  return base.empty() ? std::string(name) : absl::StrCat(base, ".", name);
}

std::string ShortEnumName(const pb::EnumValueDescriptor* value) {
  const std::string prefix = absl::StrCat(UpperSnake(value->type()->name()), "_");
  absl::string_view name(value->name());
  if (absl::StartsWith(name, prefix)) name.remove_prefix(prefix.size());
  return absl::AsciiStrToLower(name);
}

bool IsStruct(const pb::Descriptor* type) {
  return type->full_name() == "google.protobuf.Struct";
}

pb::Struct* AsStruct(pb::Message* message) {
  return pb::DynamicCastToGenerated<pb::Struct>(message);
}

void Reader::Error(YamlMark mark, absl::string_view path, absl::string_view what) {
  errors_->Add(place_(mark), path.empty() ? std::string(what) : absl::StrCat(path, ": ", what));
}

void Reader::Place(YamlMark mark, const std::string& path) {
  if (places_ != nullptr) (*places_)[path] = place_(mark);
}

const pb::FieldDescriptor* Reader::FindField(const pb::Descriptor* type, const std::string& name,
                                             YamlMark mark, const std::string& path) {
  if (const pb::FieldDescriptor* field = type->FindFieldByName(name)) return field;
  const std::vector<std::string> names = FieldNames(type);
  const std::string closest = Closest(name, names);
  Error(mark, path,
        absl::StrCat("unknown key \"", name.substr(0, 60), "\"",
                     closest.empty() ? "" : absl::StrCat("; did you mean \"", closest, "\"?"),
                     " (expected one of ", absl::StrJoin(names, ", "), ")"));
  return nullptr;
}

bool Reader::CheckOneof(const pb::FieldDescriptor* field, YamlMark mark, const std::string& path,
                        const pb::Message& message) {
  const pb::OneofDescriptor* oneof = field->real_containing_oneof();
  if (oneof == nullptr) return true;
  const pb::FieldDescriptor* set = message.GetReflection()->GetOneofFieldDescriptor(message, oneof);
  if (set == nullptr || set == field) return true;
  std::vector<std::string> names;
  for (int i = 0; i < oneof->field_count(); ++i) names.push_back(oneof->field(i)->name());
  Error(mark, path,
        absl::StrCat("\"", field->name(), "\" beside \"", set->name(), "\" (expected only one of ",
                     absl::StrJoin(names, ", "), ")"));
  return false;
}

void Reader::ReadMessage(const YamlNode& node, const std::string& path, pb::Message* message) {
  const pb::Descriptor* type = message->GetDescriptor();
  if (type->full_name() == "google.protobuf.Duration") return ReadDuration(node, path, message);
  if (type->full_name() == "google.protobuf.Value")
    return ReadValue(node, pb::DynamicCastToGenerated<pb::Value>(message));
  // "grpo:" with nothing after it is a stage with defaults only.
  if (node.kind == Kind::kNull) return;
  if (IsStruct(type)) {
    if (node.kind != Kind::kMap)
      return Error(node.mark, path, absl::StrCat(Describe(node), " (expected a map)"));
    for (const YamlNode::Entry& entry : node.entries)
      ReadValue(*entry.value, &(*AsStruct(message)->mutable_fields())[entry.key]);
    return;
  }
  if (node.kind != Kind::kMap) {
    return Error(node.mark, path,
                 absl::StrCat(Describe(node), " (expected a map with the keys ",
                              absl::StrJoin(FieldNames(type), ", "), ")"));
  }
  for (const YamlNode::Entry& entry : node.entries) {
    const pb::FieldDescriptor* field = FindField(type, entry.key, entry.mark, path);
    if (field == nullptr || !CheckOneof(field, entry.mark, path, *message)) continue;
    ReadField(*entry.value, entry.mark, field, JoinPath(path, entry.key), message);
  }
}

void Reader::ReadField(const YamlNode& node, YamlMark key, const pb::FieldDescriptor* field,
                       const std::string& path, pb::Message* message) {
  // A block map begins on the line after its key; the key is the better place to point at.
  const bool nested =
      node.kind == Kind::kMap || node.kind == Kind::kList || node.kind == Kind::kNull;
  Place(nested ? key : node.mark, path);
  if (field->is_map()) return ReadMap(node, field, path, message);
  if (!field->is_repeated()) return ReadSingular(node, field, path, message);
  if (node.kind == Kind::kNull) return;
  if (node.kind != Kind::kList)
    return Error(node.mark, path, absl::StrCat(Describe(node), " (expected a list)"));
  for (size_t i = 0; i < node.items.size(); ++i) {
    const std::string item = absl::StrCat(path, "[", i, "]");
    Place(node.items[i]->mark, item);
    ReadSingular(*node.items[i], field, item, message);
  }
}

void Reader::ReadMap(const YamlNode& node, const pb::FieldDescriptor* field,
                     const std::string& path, pb::Message* message) {
  if (node.kind == Kind::kNull) return;
  if (node.kind != Kind::kMap)
    return Error(node.mark, path, absl::StrCat(Describe(node), " (expected a map)"));
  const pb::FieldDescriptor* key_field = field->message_type()->map_key();
  for (const YamlNode::Entry& entry : node.entries) {
    const std::string item = absl::StrCat(path, "[", entry.key, "]");
    Place(entry.mark, item);
    YamlNode key;
    key.kind = Kind::kScalar;
    key.mark = entry.mark;
    key.scalar = entry.key;
    pb::Message* pair = message->GetReflection()->AddMessage(message, field);
    ReadSingular(key, key_field, item, pair);
    ReadSingular(*entry.value, field->message_type()->map_value(), item, pair);
  }
}

void Reader::ReadSingular(const YamlNode& node, const pb::FieldDescriptor* field,
                          const std::string& path, pb::Message* message) {
  const pb::Reflection* reflection = message->GetReflection();
  switch (field->cpp_type()) {
    case pb::FieldDescriptor::CPPTYPE_MESSAGE:
      return ReadMessage(node, path,
                         field->is_repeated() ? reflection->AddMessage(message, field)
                                              : reflection->MutableMessage(message, field));
    case pb::FieldDescriptor::CPPTYPE_ENUM:
      return ReadEnum(node, field, path, message);
    case pb::FieldDescriptor::CPPTYPE_BOOL: {
      if (!IsPlain(node) || (node.scalar != "true" && node.scalar != "false"))
        return Error(node.mark, path, absl::StrCat(Describe(node), " (expected true or false)"));
      const bool value = node.scalar == "true";
      return field->is_repeated() ? reflection->AddBool(message, field, value)
                                  : reflection->SetBool(message, field, value);
    }
    case pb::FieldDescriptor::CPPTYPE_STRING:
      if (node.kind != Kind::kScalar) {
        return Error(node.mark, path,
                     absl::StrCat(Describe(node), " (expected text; \"\" for an empty one)"));
      }
      return field->is_repeated() ? reflection->AddString(message, field, node.scalar)
                                  : reflection->SetString(message, field, node.scalar);
    default:
      return ReadNumber(node, field, path, message);
  }
}

void Reader::ReadNumber(const YamlNode& node, const pb::FieldDescriptor* field,
                        const std::string& path, pb::Message* message) {
  const pb::Reflection* reflection = message->GetReflection();
  const auto integer = [&]<typename T>(T) -> bool {
    T value = 0;
    if (IsPlain(node) && IsDecimal(node.scalar) && absl::SimpleAtoi(node.scalar, &value)) {
      if constexpr (std::is_same_v<T, int32_t>)
        field->is_repeated() ? reflection->AddInt32(message, field, value)
                             : reflection->SetInt32(message, field, value);
      else if constexpr (std::is_same_v<T, uint32_t>)
        field->is_repeated() ? reflection->AddUInt32(message, field, value)
                             : reflection->SetUInt32(message, field, value);
      else if constexpr (std::is_same_v<T, int64_t>)
        field->is_repeated() ? reflection->AddInt64(message, field, value)
                             : reflection->SetInt64(message, field, value);
      else
        field->is_repeated() ? reflection->AddUInt64(message, field, value)
                             : reflection->SetUInt64(message, field, value);
      return true;
    }
    Error(node.mark, path,
          absl::StrCat(Describe(node), " (expected an integer from ", std::numeric_limits<T>::min(),
                       " to ", std::numeric_limits<T>::max(), ")"));
    return false;
  };
  double value = 0;
  switch (field->cpp_type()) {
    case pb::FieldDescriptor::CPPTYPE_INT32:
      integer(int32_t{});
      return;
    case pb::FieldDescriptor::CPPTYPE_UINT32:
      integer(uint32_t{});
      return;
    case pb::FieldDescriptor::CPPTYPE_INT64:
      integer(int64_t{});
      return;
    case pb::FieldDescriptor::CPPTYPE_UINT64:
      integer(uint64_t{});
      return;
    default:
      break;
  }
  const bool single = field->cpp_type() == pb::FieldDescriptor::CPPTYPE_FLOAT;
  if (!IsPlain(node) || !ParseReal(node.scalar, &value))
    return Error(node.mark, path, absl::StrCat(Describe(node), " (expected a number)"));
  if (!std::isfinite(single ? static_cast<float>(value) : value)) {
    return Error(node.mark, path,
                 absl::StrCat(Describe(node), " (expected a number of at most ",
                              single ? "3.4e38" : "1.7e308", ")"));
  }
  if (single) {
    field->is_repeated() ? reflection->AddFloat(message, field, static_cast<float>(value))
                         : reflection->SetFloat(message, field, static_cast<float>(value));
  } else {
    field->is_repeated() ? reflection->AddDouble(message, field, value)
                         : reflection->SetDouble(message, field, value);
  }
}

void Reader::ReadEnum(const YamlNode& node, const pb::FieldDescriptor* field,
                      const std::string& path, pb::Message* message) {
  std::vector<std::string> names;
  const pb::EnumDescriptor* type = field->enum_type();
  const pb::Reflection* reflection = message->GetReflection();
  for (int i = 0; i < type->value_count(); ++i) {
    const pb::EnumValueDescriptor* value = type->value(i);
    const std::string name = ShortEnumName(value);
    if (name == "unspecified") continue;
    if (node.kind == Kind::kScalar && (node.scalar == name || node.scalar == value->name())) {
      return field->is_repeated() ? reflection->AddEnum(message, field, value)
                                  : reflection->SetEnum(message, field, value);
    }
    names.push_back(name);
  }
  const std::string closest = node.kind == Kind::kScalar ? Closest(node.scalar, names) : "";
  Error(node.mark, path,
        absl::StrCat(Describe(node),
                     closest.empty() ? "" : absl::StrCat("; did you mean \"", closest, "\"?"),
                     " (expected one of ", absl::StrJoin(names, ", "), ")"));
}

void Reader::ReadDuration(const YamlNode& node, const std::string& path, pb::Message* message) {
  absl::Duration duration;
  // The range of google.protobuf.Duration: about 10,000 years.
  const absl::Duration limit = absl::Seconds(315'576'000'000);
  if (!IsPlain(node) || !absl::ParseDuration(node.scalar, &duration) || duration > limit ||
      duration < -limit) {
    return Error(
        node.mark, path,
        absl::StrCat(Describe(node), " (expected a duration such as 30s, 500ms or 1h30m)"));
  }
  auto* out = pb::DynamicCastToGenerated<pb::Duration>(message);
  absl::Duration rest;
  out->set_seconds(absl::IDivDuration(duration, absl::Seconds(1), &rest));
  out->set_nanos(static_cast<int32_t>(absl::ToInt64Nanoseconds(rest)));
}

void Reader::ReadValue(const YamlNode& node, pb::Value* value) {
  double number = 0;
  switch (node.kind) {
    case Kind::kNull:
      value->set_null_value(pb::NULL_VALUE);
      return;
    case Kind::kList:
      value->mutable_list_value();
      for (const auto& item : node.items)
        ReadValue(*item, value->mutable_list_value()->add_values());
      return;
    case Kind::kMap:
      value->mutable_struct_value();
      for (const YamlNode::Entry& entry : node.entries)
        ReadValue(*entry.value, &(*value->mutable_struct_value()->mutable_fields())[entry.key]);
      return;
    case Kind::kScalar:
      break;
  }
  if (!node.quoted && (node.scalar == "true" || node.scalar == "false")) {
    value->set_bool_value(node.scalar == "true");
  } else if (!node.quoted && ParseReal(node.scalar, &number) && std::isfinite(number)) {
    value->set_number_value(number);
  } else {
    value->set_string_value(node.scalar);
  }
}

}  // namespace hone::internal
