#include <iterator>
#include <memory>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/config/config.h"
#include "libs/config/reader.h"

namespace hone {
namespace {

namespace pb = google::protobuf;
using internal::JoinPath;

// "a.1.b", "a[1].b" -> {a, 1, b}; false when a part is empty or a bracket is left open.
bool SplitPath(absl::string_view path, std::vector<std::string>* parts) {
  std::string part;
  bool after_bracket = false;
  for (size_t i = 0; i < path.size(); ++i) {
    const char c = path[i];
    if (c == '.' || c == '[') {
      if (part.empty() && !after_bracket) return false;
      if (!part.empty()) parts->push_back(std::exchange(part, ""));
      after_bracket = false;
      if (c == '.') continue;
      const size_t end = path.find(']', i);
      if (end == absl::string_view::npos || end == i + 1) return false;
      parts->emplace_back(path.substr(i + 1, end - i - 1));
      after_bracket = true;
      i = end;
    } else if (after_bracket) {
      return false;
    } else {
      part += c;
    }
  }
  if (part.empty() && !after_bracket) return false;
  if (!part.empty()) parts->push_back(part);
  return true;
}

// Applies one assignment.
class Override {
 public:
  Override(absl::string_view assignment, ErrorList* errors, ConfigPlaces* places)
      : place_(absl::StrCat("--set ", assignment)),
        assignment_(assignment),
        errors_(errors),
        places_(places),
        reader_([this](YamlMark) { return place_; }, errors, places) {}

  void ApplyTo(pb::Message* message) {
    const size_t equals = assignment_.find('=');
    if (equals == absl::string_view::npos || !SplitPath(assignment_.substr(0, equals), &parts_)) {
      errors_->Add(place_, "not an assignment (expected path=value, as in stages.1.grpo.steps=10)");
      return;
    }
    text_ = assignment_.substr(equals + 1);
    SetInMessage(0, "", message);
  }

 private:
  bool IsLast(size_t i) const { return i + 1 == parts_.size(); }

  // The value as YAML, or as it stands for a text; null after an error.
  std::shared_ptr<const YamlNode> Value(bool literal) {
    if (!literal) return ParseYamlTree(text_, place_, errors_);
    auto node = std::make_shared<YamlNode>();
    node->kind = text_.empty() ? YamlNode::Kind::kNull : YamlNode::Kind::kScalar;
    node->quoted = true;
    node->scalar = std::string(text_);
    return node;
  }

  // parts_[i] names a key of `message`.
  void SetInMessage(size_t i, const std::string& path, pb::Message* message) {
    if (internal::IsStruct(message->GetDescriptor()))
      return SetInStruct(i, internal::AsStruct(message));
    const pb::FieldDescriptor* field =
        reader_.FindField(message->GetDescriptor(), parts_[i], {}, path);
    if (field == nullptr || !reader_.CheckOneof(field, {}, path, *message)) return;
    const std::string here = JoinPath(path, field->name());
    if (IsLast(i)) return SetField(field, here, message);
    if (field->is_map()) return SetInMap(i + 1, field, here, message);
    if (field->is_repeated()) return SetInList(i + 1, field, here, message);
    if (field->message_type() == nullptr) {
      return reader_.Error(
          {}, here, absl::StrCat("has no key \"", parts_[i + 1], "\" (expected ", here, "=value)"));
    }
    SetInMessage(i + 1, here, message->GetReflection()->MutableMessage(message, field));
  }

  void SetField(const pb::FieldDescriptor* field, const std::string& path, pb::Message* message) {
    const bool literal =
        !field->is_repeated() && field->cpp_type() == pb::FieldDescriptor::CPPTYPE_STRING;
    std::shared_ptr<const YamlNode> value = Value(literal);
    if (value == nullptr) return;
    message->GetReflection()->ClearField(message, field);
    if (value->kind == YamlNode::Kind::kNull && field->message_type() == nullptr) {
      (*places_)[path] = place_;
    } else {
      reader_.ReadField(*value, {}, field, path, message);
    }
  }

  // parts_[i] is an index into the repeated `field`.
  void SetInList(size_t i, const pb::FieldDescriptor* field, const std::string& path,
                 pb::Message* message) {
    const pb::Reflection* reflection = message->GetReflection();
    const int size = reflection->FieldSize(*message, field);
    int index = -1;
    if (!absl::SimpleAtoi(parts_[i], &index) || index < 0 || index > size) {
      return reader_.Error(
          {}, path,
          absl::StrCat("no element \"", parts_[i], "\" (expected an index from 0 to ", size,
                       "; there are ", size, ")"));
    }
    const std::string here = absl::StrCat(path, "[", index, "]");
    if (field->message_type() != nullptr && !IsLast(i)) {
      SetInMessage(i + 1, here,
                   index == size ? reflection->AddMessage(message, field)
                                 : reflection->MutableRepeatedMessage(message, field, index));
      return;
    }
    if (!IsLast(i))
      return reader_.Error({}, here, absl::StrCat("has no key \"", parts_[i + 1], "\""));
    std::shared_ptr<const YamlNode> value =
        Value(field->cpp_type() == pb::FieldDescriptor::CPPTYPE_STRING);
    if (value == nullptr) return;
    auto list = std::make_shared<YamlNode>();
    list->kind = YamlNode::Kind::kList;
    list->items = {value};
    // Read at the end, then move to its place and drop what was there.
    reader_.ReadField(*list, {}, field, path, message);
    if (reflection->FieldSize(*message, field) != size + 1 || index == size) return;
    reflection->SwapElements(message, field, index, size);
    reflection->RemoveLast(message, field);
    (*places_)[here] = place_;
  }

  // parts_[i] is a key of the map `field`.
  void SetInMap(size_t i, const pb::FieldDescriptor* field, const std::string& path,
                pb::Message* message) {
    if (!IsLast(i)) {
      return reader_.Error({}, path,
                           absl::StrCat("a path into the value of a map (expected ", path, ".",
                                        parts_[i], "=value)"));
    }
    std::shared_ptr<const YamlNode> value = Value(field->message_type()->map_value()->cpp_type() ==
                                                  pb::FieldDescriptor::CPPTYPE_STRING);
    if (value == nullptr) return;
    YamlNode map;
    map.kind = YamlNode::Kind::kMap;
    map.entries.push_back({parts_[i], {}, value});
    // A later entry with the same key wins when the list of entries becomes a map.
    reader_.ReadField(map, {}, field, path, message);
  }

  // parts_[i] is a key of the free-form `fields`.
  void SetInStruct(size_t i, pb::Struct* fields) {
    pb::Value* value = &(*fields->mutable_fields())[parts_[i]];
    if (!IsLast(i)) return SetInStruct(i + 1, value->mutable_struct_value());
    std::shared_ptr<const YamlNode> node = Value(false);
    if (node == nullptr) return;
    value->Clear();
    if (text_.empty()) {
      fields->mutable_fields()->erase(parts_[i]);
    } else {
      reader_.ReadValue(*node, value);
    }
  }

  const std::string place_;
  const absl::string_view assignment_;
  absl::string_view text_;  // right of '='
  std::vector<std::string> parts_;
  ErrorList* const errors_;
  ConfigPlaces* const places_;
  internal::Reader reader_;
};

}  // namespace

absl::Status ApplyOverrides(const std::vector<std::string>& assignments, pb::Message* message,
                            ConfigPlaces* places) {
  ErrorList errors;
  ConfigPlaces found;
  std::unique_ptr<pb::Message> copy(message->New());
  copy->CopyFrom(*message);
  for (const std::string& assignment : assignments)
    Override(assignment, &errors, &found).ApplyTo(copy.get());
  HONE_RETURN_IF_ERROR(errors.ToStatus());
  message->GetReflection()->Swap(message, copy.get());
  if (places == nullptr) return absl::OkStatus();
  for (const auto& [path, place] : found) {
    // What the file said below a replaced value is gone.
    for (auto it = places->lower_bound(path); it != places->end() && it->first.find(path) == 0;) {
      const char next = it->first.size() > path.size() ? it->first[path.size()] : '.';
      it = next == '.' || next == '[' ? places->erase(it) : std::next(it);
    }
    (*places)[path] = place;
  }
  return absl::OkStatus();
}

}  // namespace hone
