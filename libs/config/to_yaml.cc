#include <algorithm>
#include <charconv>
#include <cmath>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "google/protobuf/duration.pb.h"
#include "libs/config/config.h"
#include "libs/config/reader.h"

namespace hone {
namespace {

namespace pb = google::protobuf;

// The shortest decimal that reads back to the same bits.
template <typename T>
std::string Number(T value) {
  char buffer[64];
  const auto result = std::to_chars(buffer, buffer + sizeof(buffer), value);
  return std::string(buffer, result.ptr);
}

// Plain where no YAML reader could take it for anything but this text, else in double quotes.
std::string Scalar(absl::string_view s) {
  bool plain = !s.empty() && (absl::ascii_isalpha(s[0]) || s[0] == '/' || s[0] == '_');
  for (char c : s)
    plain =
        plain && (absl::ascii_isalnum(c) || absl::StrContains("_./-", absl::string_view(&c, 1)));
  const std::string lower = absl::AsciiStrToLower(s);
  for (const char* word :
       {"true", "false", "yes", "no", "on", "off", "null", "nan", "inf", "y", "n"})
    plain = plain && lower != word;
  if (plain) return std::string(s);
  std::string out = "\"";
  for (char c : s) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (byte < 0x20 || byte == 0x7f) {
      absl::StrAppend(&out, "\\x", absl::Hex(byte, absl::kZeroPad2));
    } else {
      out += c;
    }
  }
  return out += '"';
}

// Writes block style, two blanks per level. A list item's first line carries the "- ".
class Writer {
 public:
  std::string Take() { return std::move(out_); }

  void Message(const pb::Message& message, int indent) {
    const pb::Reflection* reflection = message.GetReflection();
    for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
      const pb::FieldDescriptor* field = message.GetDescriptor()->field(i);
      if (field->is_map()) {
        MapField(message, field, indent);
      } else if (field->is_repeated()) {
        ListField(message, field, indent);
      } else if (field->cpp_type() == pb::FieldDescriptor::CPPTYPE_MESSAGE) {
        if (reflection->HasField(message, field)) {
          Key(field->name(), indent);
          Nested(reflection->GetMessage(message, field), indent + 1);
        }
      } else if (reflection->HasField(message, field) ||
                 (!field->has_presence() &&
                  field->cpp_type() != pb::FieldDescriptor::CPPTYPE_STRING &&
                  field->cpp_type() != pb::FieldDescriptor::CPPTYPE_ENUM)) {
        Key(field->name(), indent);
        absl::StrAppend(&out_, " ", One(message, field, -1), "\n");
      }
    }
  }

 private:
  void Key(absl::string_view key, int indent) {
    if (!std::exchange(inline_, false)) out_.append(static_cast<size_t>(2 * indent), ' ');
    absl::StrAppend(&out_, Scalar(key), ":");
  }
  // "- ": what follows stands on the same line.
  void Item(int indent) {
    if (!std::exchange(inline_, false)) out_.append(static_cast<size_t>(2 * indent), ' ');
    out_ += "- ";
    inline_ = true;
  }

  // A message after "key:" or "- ".
  void Nested(const pb::Message& message, int indent) {
    const std::string& type = message.GetDescriptor()->full_name();
    if (type == "google.protobuf.Value") {
      return Value(*pb::DynamicCastToGenerated<pb::Value>(&message), indent);
    }
    if (type == "google.protobuf.Struct")
      return Fields(*pb::DynamicCastToGenerated<pb::Struct>(&message), indent);
    if (type == "google.protobuf.Duration") {
      const auto* d = pb::DynamicCastToGenerated<pb::Duration>(&message);
      return Text(
          absl::FormatDuration(absl::Seconds(d->seconds()) + absl::Nanoseconds(d->nanos())));
    }
    const size_t before = Open();
    const size_t start = out_.size();
    Message(message, indent);
    if (out_.size() == start) Close(before, "{}");
  }

  void Text(absl::string_view text) {
    absl::StrAppend(&out_, std::exchange(inline_, false) ? "" : " ", text, "\n");
  }
  // Ends the line of "key:", but not of "- "; returns where the line stood.
  size_t Open() {
    const size_t before = out_.size();
    if (!inline_) out_ += "\n";
    return before;
  }
  // Nothing was written since Open.
  void Close(size_t before, absl::string_view empty) {
    out_.resize(before);
    Text(empty);
  }

  void Value(const pb::Value& value, int indent) {
    switch (value.kind_case()) {
      case pb::Value::kBoolValue:
        return Text(value.bool_value() ? "true" : "false");
      case pb::Value::kNumberValue:
        return Text(Number(value.number_value()));
      case pb::Value::kStringValue:
        return Text(Scalar(value.string_value()));
      case pb::Value::kStructValue:
        return Fields(value.struct_value(), indent);
      case pb::Value::kListValue:
        if (value.list_value().values().empty()) return Text("[]");
        Open();
        for (const pb::Value& item : value.list_value().values()) {
          Item(indent);
          Value(item, indent + 1);
        }
        return;
      default:
        return Text("null");
    }
  }

  void Fields(const pb::Struct& fields, int indent) {
    if (fields.fields().empty()) return Text("{}");
    // Protobuf maps have no order of their own.
    std::vector<std::string> keys;
    for (const auto& [key, value] : fields.fields()) keys.push_back(key);
    std::sort(keys.begin(), keys.end());
    Open();
    for (const std::string& key : keys) {
      Key(key, indent);
      Value(fields.fields().at(key), indent + 1);
    }
  }

  void ListField(const pb::Message& message, const pb::FieldDescriptor* field, int indent) {
    const pb::Reflection* reflection = message.GetReflection();
    const int size = reflection->FieldSize(message, field);
    if (size == 0) return;
    Key(field->name(), indent);
    out_ += "\n";
    for (int i = 0; i < size; ++i) {
      Item(indent + 1);
      if (field->cpp_type() == pb::FieldDescriptor::CPPTYPE_MESSAGE) {
        Nested(reflection->GetRepeatedMessage(message, field, i), indent + 2);
      } else {
        Text(One(message, field, i));
      }
    }
  }

  void MapField(const pb::Message& message, const pb::FieldDescriptor* field, int indent) {
    const pb::Reflection* reflection = message.GetReflection();
    const int size = reflection->FieldSize(message, field);
    if (size == 0) return;
    const pb::FieldDescriptor* key = field->message_type()->map_key();
    const pb::FieldDescriptor* value = field->message_type()->map_value();
    std::vector<std::pair<std::string, const pb::Message*>> pairs;
    for (int i = 0; i < size; ++i) {
      const pb::Message& pair = reflection->GetRepeatedMessage(message, field, i);
      pairs.emplace_back(One(pair, key, -1), &pair);
    }
    std::sort(pairs.begin(), pairs.end());
    Key(field->name(), indent);
    out_ += "\n";
    for (const auto& [name, pair] : pairs) {
      out_.append(static_cast<size_t>(2 * indent + 2), ' ');
      absl::StrAppend(&out_, name, ":");
      if (value->cpp_type() == pb::FieldDescriptor::CPPTYPE_MESSAGE) {
        Nested(pair->GetReflection()->GetMessage(*pair, value), indent + 2);
      } else {
        Text(One(*pair, value, -1));
      }
    }
  }

  // A scalar field's value, or its element `i` when i >= 0.
  std::string One(const pb::Message& m, const pb::FieldDescriptor* f, int i) {
    const pb::Reflection* r = m.GetReflection();
    switch (f->cpp_type()) {
      case pb::FieldDescriptor::CPPTYPE_INT32:
        return Number(i < 0 ? r->GetInt32(m, f) : r->GetRepeatedInt32(m, f, i));
      case pb::FieldDescriptor::CPPTYPE_INT64:
        return Number(i < 0 ? r->GetInt64(m, f) : r->GetRepeatedInt64(m, f, i));
      case pb::FieldDescriptor::CPPTYPE_UINT32:
        return Number(i < 0 ? r->GetUInt32(m, f) : r->GetRepeatedUInt32(m, f, i));
      case pb::FieldDescriptor::CPPTYPE_UINT64:
        return Number(i < 0 ? r->GetUInt64(m, f) : r->GetRepeatedUInt64(m, f, i));
      case pb::FieldDescriptor::CPPTYPE_DOUBLE:
        return Number(i < 0 ? r->GetDouble(m, f) : r->GetRepeatedDouble(m, f, i));
      case pb::FieldDescriptor::CPPTYPE_FLOAT:
        return Number(i < 0 ? r->GetFloat(m, f) : r->GetRepeatedFloat(m, f, i));
      case pb::FieldDescriptor::CPPTYPE_BOOL:
        return (i < 0 ? r->GetBool(m, f) : r->GetRepeatedBool(m, f, i)) ? "true" : "false";
      case pb::FieldDescriptor::CPPTYPE_ENUM:
        return internal::ShortEnumName(i < 0 ? r->GetEnum(m, f) : r->GetRepeatedEnum(m, f, i));
      case pb::FieldDescriptor::CPPTYPE_STRING:
        return Scalar(i < 0 ? r->GetString(m, f) : r->GetRepeatedString(m, f, i));
      case pb::FieldDescriptor::CPPTYPE_MESSAGE:
        break;
    }
    return "";
  }

  std::string out_;
  bool inline_ = false;  // the line has begun with "- "
};

}  // namespace

std::string ToYaml(const pb::Message& message) {
  Writer writer;
  writer.Message(message, 0);
  std::string text = writer.Take();
  return text.empty() ? "{}\n" : text;
}

}  // namespace hone
