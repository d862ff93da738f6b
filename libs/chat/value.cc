#include "libs/chat/value.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "libs/base/status.h"

namespace hone {
namespace {

constexpr int kMaxDepth = 64;

// A word that cannot be a control token by itself or complete one that people wrote.
bool IsPlainWord(absl::string_view text) {
  return !text.empty() && text.size() <= 32 && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
}

}  // namespace

absl::Status Budget::Steps(int64_t n) {
  steps_ -= n;
  if (steps_ >= 0) return absl::OkStatus();
  return absl::ResourceExhaustedError("the template does not come to an end in its step budget");
}

absl::Status Budget::Bytes(size_t n) {
  // Long texts also take time.
  HONE_RETURN_IF_ERROR(Steps(static_cast<int64_t>(std::min<size_t>(n, size_t{1} << 40) / 64)));
  if (n > static_cast<size_t>(bytes_))
    return absl::ResourceExhaustedError("the template writes more text than its budget");
  bytes_ -= static_cast<int64_t>(n);
  return absl::OkStatus();
}

const Value* Dict::Find(absl::string_view key) const {
  const auto it = index_.find(key);
  return it == index_.end() ? nullptr : &entries_[it->second].second;
}

void Dict::Set(const Text& key, Value value) {
  const auto [it, added] = index_.try_emplace(key.bytes(), entries_.size());
  if (added)
    entries_.emplace_back(key, std::move(value));
  else
    entries_[it->second].second = std::move(value);
}

absl::StatusOr<int> Value::Depth(const Value& value) {
  if (value.name_space() != nullptr)
    return absl::InvalidArgumentError("a namespace cannot be stored in another value");
  if (const auto* list = std::get_if<std::shared_ptr<const ListNode>>(&value.data_))
    return (*list)->depth;
  if (const auto* dict = std::get_if<std::shared_ptr<const DictNode>>(&value.data_))
    return (*dict)->depth;
  return 0;
}

absl::StatusOr<Value> Value::MakeList(List list) {
  int depth = 0;
  for (const Value& v : list) {
    HONE_ASSIGN_OR_RETURN(const int d, Depth(v));
    depth = std::max(depth, d);
  }
  if (depth >= kMaxDepth)
    return absl::InvalidArgumentError(absl::StrCat("values nested deeper than ", kMaxDepth));
  return Value(std::make_shared<const ListNode>(ListNode{std::move(list), depth + 1}));
}

absl::StatusOr<Value> Value::MakeDict(Dict dict) {
  int depth = 0;
  for (const auto& [key, v] : dict.entries()) {
    HONE_ASSIGN_OR_RETURN(const int d, Depth(v));
    depth = std::max(depth, d);
  }
  if (depth >= kMaxDepth)
    return absl::InvalidArgumentError(absl::StrCat("values nested deeper than ", kMaxDepth));
  return Value(std::make_shared<const DictNode>(DictNode{std::move(dict), depth + 1}));
}

absl::StatusOr<Value> Value::FromJson(const nlohmann::ordered_json& json, int depth) {
  if (depth > kMaxDepth)
    return absl::InvalidArgumentError(absl::StrCat("JSON nested deeper than ", kMaxDepth));
  using Type = nlohmann::ordered_json::value_t;
  switch (json.type()) {
    case Type::boolean:
      return Bool(json.get<bool>());
    case Type::number_unsigned:
      if (json.get<uint64_t>() > uint64_t{INT64_MAX}) return Float(json.get<double>());
      return Integer(json.get<int64_t>());
    case Type::number_integer:
      return Integer(json.get<int64_t>());
    case Type::number_float:
      return Float(json.get<double>());
    case Type::string:
      return String(Text::Foreign(json.get_ref<const std::string&>()));
    case Type::array: {
      List list;
      for (const auto& element : json) {
        HONE_ASSIGN_OR_RETURN(Value v, FromJson(element, depth + 1));
        list.push_back(std::move(v));
      }
      return MakeList(std::move(list));
    }
    case Type::object: {
      Dict dict;
      for (const auto& [key, element] : json.items()) {
        HONE_ASSIGN_OR_RETURN(Value v, FromJson(element, depth + 1));
        if (key == "role" && v.string() != nullptr && IsPlainWord(v.string()->bytes()))
          v = String(v.string()->bytes());
        dict.Set(Text::Foreign(key), std::move(v));
      }
      return MakeDict(std::move(dict));
    }
    default:
      return Value();
  }
}

bool Value::IsInteger(int64_t* n) const {
  if (integer() != nullptr)
    *n = *integer();
  else if (boolean() != nullptr)
    *n = *boolean() ? 1 : 0;
  else
    return false;
  return true;
}

bool Value::IsNumber(double* x) const {
  int64_t n;
  if (floating() != nullptr)
    *x = *floating();
  else if (IsInteger(&n))
    *x = static_cast<double>(n);
  else
    return false;
  return true;
}

bool Value::Truth() const {
  double x;
  if (IsNumber(&x)) return x != 0;
  if (string() != nullptr) return !string()->empty();
  if (list() != nullptr) return !list()->empty();
  if (dict() != nullptr) return !dict()->entries().empty();
  return undefined() == nullptr && !is_none();
}

absl::string_view Value::type() const {
  static constexpr const char* kNames[] = {"undefined", "none",     "boolean", "integer",
                                           "float",     "string",   "list",    "dict",
                                           "namespace", "function", "macro"};
  return kNames[data_.index()];
}

absl::StatusOr<bool> Equal(const Value& a, const Value& b, Budget* budget) {
  HONE_RETURN_IF_ERROR(budget->Steps());
  int64_t m, n;
  if (a.IsInteger(&m) && b.IsInteger(&n)) return m == n;
  double x, y;
  if (a.IsNumber(&x) && b.IsNumber(&y)) return x == y;
  if (a.string() != nullptr && b.string() != nullptr) {
    HONE_RETURN_IF_ERROR(
        budget->Steps(static_cast<int64_t>(std::min(a.string()->size(), b.string()->size()) / 64)));
    return a.string()->bytes() == b.string()->bytes();
  }
  if (a.list() != nullptr && b.list() != nullptr) {
    if (a.list()->size() != b.list()->size()) return false;
    for (size_t i = 0; i < a.list()->size(); ++i) {
      HONE_ASSIGN_OR_RETURN(const bool same, Equal((*a.list())[i], (*b.list())[i], budget));
      if (!same) return false;
    }
    return true;
  }
  if (a.dict() != nullptr && b.dict() != nullptr) {
    if (a.dict()->entries().size() != b.dict()->entries().size()) return false;
    for (const auto& [key, value] : a.dict()->entries()) {
      const Value* other = b.dict()->Find(key.bytes());
      if (other == nullptr) return false;
      HONE_ASSIGN_OR_RETURN(const bool same, Equal(value, *other, budget));
      if (!same) return false;
    }
    return true;
  }
  if (a.name_space() != nullptr) return a.name_space() == b.name_space();
  if (a.macro() != nullptr) return a.macro() == b.macro();
  return (a.is_none() && b.is_none()) || (a.undefined() != nullptr && b.undefined() != nullptr);
}

absl::StatusOr<bool> Less(const Value& a, const Value& b) {
  int64_t m, n;
  if (a.IsInteger(&m) && b.IsInteger(&n)) return m < n;
  double x, y;
  if (a.IsNumber(&x) && b.IsNumber(&y)) return x < y;
  if (a.string() != nullptr && b.string() != nullptr)
    return a.string()->bytes() < b.string()->bytes();
  return absl::InvalidArgumentError(absl::StrCat("cannot compare ", a.type(), " with ", b.type(),
                                                 ", expected two numbers or two strings"));
}

absl::StatusOr<bool> Contains(const Value& container, const Value& item, Budget* budget) {
  if (container.undefined() != nullptr) return false;
  if (container.string() != nullptr) {
    if (item.string() == nullptr)
      return absl::InvalidArgumentError(
          absl::StrCat("looks for ", item.type(), " in a string, expected a string"));
    HONE_RETURN_IF_ERROR(budget->Steps(static_cast<int64_t>(container.string()->size() / 16)));
    return container.string()->bytes().find(item.string()->bytes()) != std::string::npos;
  }
  if (container.dict() != nullptr)
    return item.string() != nullptr && container.dict()->Find(item.string()->bytes()) != nullptr;
  if (container.list() != nullptr) {
    for (const Value& v : *container.list()) {
      HONE_ASSIGN_OR_RETURN(const bool same, Equal(v, item, budget));
      if (same) return true;
    }
    return false;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("looks into ", container.type(), ", expected a string, a list or a dict"));
}

}  // namespace hone
