// What lists, dicts and strings have in common: attributes, elements, slices.

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/chat/builtins.h"
#include "libs/tokenizer/unicode.h"

namespace hone {
namespace {

// The parts that slices and loops count: elements or characters.
absl::StatusOr<List> Parts(const Value& value, Budget* budget) {
  if (value.list() != nullptr) {
    HONE_RETURN_IF_ERROR(budget->Bytes(value.list()->size() * sizeof(Value)));
    return *value.list();
  }
  List parts;
  const Text& text = *value.string();
  HONE_RETURN_IF_ERROR(budget->Bytes(text.size() * (sizeof(Value) + sizeof(Text))));
  for (size_t at = 0; at < text.size();) {
    const size_t end = at + CodePointAt(text.bytes(), at).length;
    parts.push_back(Value::String(text.Cut(at, end)));
    at = end;
  }
  return parts;
}

absl::StatusOr<int64_t> SliceIndex(const Value* v, int64_t fallback) {
  if (v == nullptr || v->is_none()) return fallback;
  int64_t n;
  if (!v->IsInteger(&n))
    return absl::InvalidArgumentError(
        absl::StrCat("slice with ", v->type(), ", expected integers"));
  return n;
}

}  // namespace

absl::StatusOr<Value> Attribute(const Value& object, absl::string_view key) {
  const Value* found = nullptr;
  if (object.undefined() != nullptr)
    return absl::InvalidArgumentError(absl::StrCat(object.undefined()->what, " is undefined"));
  if (object.dict() != nullptr) {
    found = object.dict()->Find(key);
  } else if (object.name_space() != nullptr) {
    const auto it = object.name_space()->attributes.find(key);
    if (it != object.name_space()->attributes.end()) found = &it->second;
  }
  return found != nullptr ? *found
                          : Value::MakeUndefined(absl::StrCat("'", key, "' of a ", object.type()));
}

absl::StatusOr<List> Elements(const Value& value, Budget* budget) {
  if (value.undefined() != nullptr) return List();
  if (value.list() != nullptr || value.string() != nullptr) return Parts(value, budget);
  if (value.dict() != nullptr) {
    HONE_RETURN_IF_ERROR(budget->Steps(static_cast<int64_t>(value.dict()->entries().size())));
    List keys;
    for (const auto& [key, unused] : value.dict()->entries()) keys.push_back(Value::String(key));
    return keys;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("a ", value.type(), " has no elements, expected a list, a dict or a string"));
}

absl::StatusOr<Value> Slice(const Value& value, const Value* begin, const Value* end,
                            const Value* step, Budget* budget) {
  if (value.undefined() != nullptr)
    return absl::InvalidArgumentError(absl::StrCat(value.undefined()->what, " is undefined"));
  if (value.list() == nullptr && value.string() == nullptr)
    return absl::InvalidArgumentError(
        absl::StrCat("slice of a ", value.type(), ", expected a list or a string"));
  HONE_ASSIGN_OR_RETURN(const List parts, Parts(value, budget));
  const auto n = static_cast<int64_t>(parts.size());
  HONE_ASSIGN_OR_RETURN(const int64_t by, SliceIndex(step, 1));
  if (by == 0) return absl::InvalidArgumentError("slice with step 0");
  const auto place = [&](int64_t i) {
    if (i < 0) i = std::max(i, -n - 1) + n;
    return by > 0 ? std::clamp<int64_t>(i, 0, n) : std::clamp<int64_t>(i, -1, n - 1);
  };
  HONE_ASSIGN_OR_RETURN(int64_t from, SliceIndex(begin, by > 0 ? 0 : n));
  HONE_ASSIGN_OR_RETURN(int64_t to, SliceIndex(end, by > 0 ? n : -n - 1));
  from = place(from);
  to = place(to);
  List taken;
  for (int64_t i = from; by > 0 ? i < to : i > to;) {
    taken.push_back(parts[static_cast<size_t>(i)]);
    if (by > n || by < -n) break;  // the next one would be outside, or beyond int64
    i += by;
  }
  if (value.list() != nullptr) return Value::MakeList(std::move(taken));
  Text text;
  for (const Value& v : taken) text.Append(*v.string());
  return Value::String(std::move(text));
}

}  // namespace hone
