#include <algorithm>
#include <cmath>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "libs/base/status.h"
#include "libs/chat/builtins.h"

namespace hone {

absl::StatusOr<std::vector<const Value*>> CallArguments::Bind(
    absl::Span<const absl::string_view> parameters) const {
  if (positional.size() > parameters.size())
    return absl::InvalidArgumentError(
        absl::StrCat(positional.size(), " arguments, expected at most ", parameters.size()));
  std::vector<const Value*> bound(parameters.size());
  for (size_t i = 0; i < positional.size(); ++i) bound[i] = &positional[i];
  for (const auto& [name, value] : named) {
    const auto it = std::find(parameters.begin(), parameters.end(), name);
    if (it == parameters.end() || bound[it - parameters.begin()] != nullptr)
      return absl::InvalidArgumentError(absl::StrCat(
          "unexpected argument \"", name, "\", expected ", absl::StrJoin(parameters, ", ")));
    bound[it - parameters.begin()] = &value;
  }
  return bound;
}

namespace {

using Args = std::vector<const Value*>;
using Filter = absl::StatusOr<Value> (*)(const Value&, const Args&, Budget*);

absl::StatusOr<int64_t> IntegerOr(const Value* v, int64_t fallback) {
  if (v == nullptr || v->is_none()) return fallback;
  int64_t n;
  if (!v->IsInteger(&n))
    return absl::InvalidArgumentError(absl::StrCat(v->type(), ", expected an integer"));
  return n;
}

absl::StatusOr<Text> TextArgument(const Value* v, Budget* budget) {
  if (v == nullptr) return absl::InvalidArgumentError("an argument is missing");
  return ToText(*v, budget);
}

absl::StatusOr<Value> Trim(const Value& v, const Args& a, Budget* budget) {
  HONE_ASSIGN_OR_RETURN(const Text text, ToText(v, budget));
  if (a[0] == nullptr || a[0]->is_none()) return Value::String(Strip(text, nullptr, true, true));
  HONE_ASSIGN_OR_RETURN(const Text chars, ToText(*a[0], budget));
  return Value::String(Strip(text, &chars, true, true));
}

template <Case to>
absl::StatusOr<Value> Recase(const Value& v, const Args&, Budget* budget) {
  HONE_ASSIGN_OR_RETURN(const Text text, ToText(v, budget));
  HONE_RETURN_IF_ERROR(budget->Bytes(text.size()));
  return Value::String(ChangeCase(text, to));
}

absl::StatusOr<Value> Length(const Value& v, const Args&, Budget*) {
  if (v.string() != nullptr) return Value::Integer(Characters(*v.string()));
  if (v.list() != nullptr) return Value::Integer(static_cast<int64_t>(v.list()->size()));
  if (v.dict() != nullptr) return Value::Integer(static_cast<int64_t>(v.dict()->entries().size()));
  if (v.undefined() != nullptr) return Value::Integer(0);
  return absl::InvalidArgumentError(absl::StrCat("a ", v.type(), " has no length"));
}

absl::StatusOr<Value> ToJson(const Value& v, const Args& a, Budget* budget) {
  // indent, ensure_ascii, sort_keys, separators
  HONE_ASSIGN_OR_RETURN(const int64_t indent, IntegerOr(a[0], 0));
  if (indent < 0 || indent > 16)
    return absl::InvalidArgumentError(absl::StrCat("indent=", indent, ", expected 1 to 16"));
  for (const Value* other : {a[1], a[2], a[3]})
    if (other != nullptr && other->Truth())
      return absl::InvalidArgumentError("takes no argument but indent");
  HONE_ASSIGN_OR_RETURN(Text text, ToJsonText(v, static_cast<int>(indent), budget));
  return Value::String(std::move(text));
}

absl::StatusOr<Value> Default(const Value& v, const Args& a, Budget*) {
  const bool falsy = a[1] != nullptr && a[1]->Truth() && !v.Truth();
  if (v.undefined() == nullptr && !falsy) return v;
  return a[0] != nullptr ? *a[0] : Value::String("");
}

absl::StatusOr<Value> Join(const Value& v, const Args& a, Budget* budget) {
  HONE_ASSIGN_OR_RETURN(const List list, Elements(v, budget));
  Text separator;
  if (a[0] != nullptr) {
    HONE_ASSIGN_OR_RETURN(separator, ToText(*a[0], budget));
  }
  Text out;
  for (size_t i = 0; i < list.size(); ++i) {
    Value element = list[i];
    if (a[1] != nullptr) {
      HONE_ASSIGN_OR_RETURN(const Text key, ToText(*a[1], budget));
      HONE_ASSIGN_OR_RETURN(element, Attribute(element, key.bytes()));
    }
    HONE_ASSIGN_OR_RETURN(const Text text, ToText(element, budget));
    HONE_RETURN_IF_ERROR(budget->Bytes(text.size() + separator.size()));
    if (i > 0) out.Append(separator);
    out.Append(text);
  }
  return Value::String(std::move(out));
}

absl::StatusOr<Value> ReplaceFilter(const Value& v, const Args& a, Budget* budget) {
  HONE_ASSIGN_OR_RETURN(const Text text, ToText(v, budget));
  HONE_ASSIGN_OR_RETURN(const Text from, TextArgument(a[0], budget));
  HONE_ASSIGN_OR_RETURN(const Text to, TextArgument(a[1], budget));
  HONE_ASSIGN_OR_RETURN(const int64_t limit, IntegerOr(a[2], -1));
  HONE_ASSIGN_OR_RETURN(Text out, Replace(text, from, to, limit, budget));
  return Value::String(std::move(out));
}

absl::StatusOr<Value> First(const Value& v, const Args&, Budget* budget) {
  HONE_ASSIGN_OR_RETURN(const List list, Elements(v, budget));
  return list.empty() ? Value::MakeUndefined("the first of nothing") : list.front();
}

absl::StatusOr<Value> Last(const Value& v, const Args&, Budget* budget) {
  HONE_ASSIGN_OR_RETURN(const List list, Elements(v, budget));
  return list.empty() ? Value::MakeUndefined("the last of nothing") : list.back();
}

absl::StatusOr<Value> ToList(const Value& v, const Args&, Budget* budget) {
  HONE_ASSIGN_OR_RETURN(List list, Elements(v, budget));
  return Value::MakeList(std::move(list));
}

absl::StatusOr<Value> Reverse(const Value& v, const Args&, Budget* budget) {
  const Value step = Value::Integer(-1);
  if (v.string() != nullptr) return Slice(v, nullptr, nullptr, &step, budget);
  HONE_ASSIGN_OR_RETURN(List list, Elements(v, budget));
  std::reverse(list.begin(), list.end());
  return Value::MakeList(std::move(list));
}

absl::StatusOr<Value> ToString(const Value& v, const Args&, Budget* budget) {
  HONE_ASSIGN_OR_RETURN(Text text, ToText(v, budget));
  return Value::String(std::move(text));
}

absl::StatusOr<Value> ToInteger(const Value& v, const Args& a, Budget*) {
  double x;
  int64_t n;
  if (v.IsInteger(&n)) return Value::Integer(n);
  if (v.IsNumber(&x) && std::abs(x) < 9e18) return Value::Integer(static_cast<int64_t>(x));
  if (v.string() != nullptr && absl::SimpleAtoi(v.string()->bytes(), &n)) return Value::Integer(n);
  if (v.string() != nullptr && absl::SimpleAtod(v.string()->bytes(), &x) && std::abs(x) < 9e18)
    return Value::Integer(static_cast<int64_t>(x));
  return a[0] != nullptr ? *a[0] : Value::Integer(0);
}

absl::StatusOr<Value> ToFloat(const Value& v, const Args& a, Budget*) {
  double x;
  if (v.IsNumber(&x)) return Value::Float(x);
  if (v.string() != nullptr && absl::SimpleAtod(v.string()->bytes(), &x)) return Value::Float(x);
  return a[0] != nullptr ? *a[0] : Value::Float(0);
}

absl::StatusOr<Value> Items(const Value& v, const Args&, Budget* budget) {
  if (v.undefined() != nullptr) return Value::MakeList({});
  return CallMethod("items", v, {}, budget);
}

absl::StatusOr<Value> DictSort(const Value& v, const Args&, Budget* budget) {
  HONE_ASSIGN_OR_RETURN(const Value items, CallMethod("items", v, {}, budget));
  List sorted = *items.list();
  std::stable_sort(sorted.begin(), sorted.end(), [](const Value& a, const Value& b) {
    const auto key = [](const Value& pair) {
      return ChangeCase(*(*pair.list())[0].string(), Case::kLower).bytes();
    };
    return key(a) < key(b);
  });
  return Value::MakeList(std::move(sorted));
}

absl::StatusOr<Value> IndentFilter(const Value& v, const Args& a, Budget* budget) {
  HONE_ASSIGN_OR_RETURN(const Text text, ToText(v, budget));
  HONE_ASSIGN_OR_RETURN(const int64_t width, IntegerOr(a[0], 4));
  HONE_ASSIGN_OR_RETURN(Text out, Indent(text, width, a[1] != nullptr && a[1]->Truth(),
                                         a[2] != nullptr && a[2]->Truth(), budget));
  return Value::String(std::move(out));
}

absl::StatusOr<Value> Unchanged(const Value& v, const Args&, Budget*) {
  return v;
}

// select, reject, selectattr, rejectattr: keeps elements (or those with an attribute) that pass a
// test (default: that are true).
template <bool keep, bool of_attribute>
absl::StatusOr<Value> Select(const Value& v, const Args& a, Budget* budget) {
  HONE_ASSIGN_OR_RETURN(const List list, Elements(v, budget));
  constexpr int kTest = of_attribute ? 1 : 0;
  CallArguments arguments;
  if (a[kTest + 1] != nullptr) arguments.positional.push_back(*a[kTest + 1]);
  Text attribute, test;
  if (of_attribute) {
    HONE_ASSIGN_OR_RETURN(attribute, TextArgument(a[0], budget));
  }
  if (a[kTest] != nullptr) {
    HONE_ASSIGN_OR_RETURN(test, ToText(*a[kTest], budget));
    if (!IsTest(test.bytes()))
      return absl::InvalidArgumentError(absl::StrCat("there is no test \"", test.bytes(), "\""));
  }
  List kept;
  for (const Value& element : list) {
    HONE_RETURN_IF_ERROR(budget->Steps());
    Value subject = element;
    if (of_attribute) {
      HONE_ASSIGN_OR_RETURN(subject, Attribute(element, attribute.bytes()));
    }
    bool passes = subject.Truth();
    if (a[kTest] != nullptr) {
      HONE_ASSIGN_OR_RETURN(passes, ApplyTest(test.bytes(), subject, arguments, budget));
    }
    if (passes == keep) kept.push_back(element);
  }
  return Value::MakeList(std::move(kept));
}

absl::StatusOr<Value> Map(const Value& v, const Args& a, Budget* budget) {
  HONE_ASSIGN_OR_RETURN(const List list, Elements(v, budget));
  HONE_ASSIGN_OR_RETURN(const Text name, TextArgument(a[1] != nullptr ? a[1] : a[0], budget));
  if (a[1] == nullptr && (!IsFilter(name.bytes()) || name.bytes() == "map"))
    return absl::InvalidArgumentError(
        absl::StrCat("there is no filter \"", name.bytes(), "\" for map"));
  List mapped;
  for (const Value& element : list) {
    HONE_RETURN_IF_ERROR(budget->Steps());
    Value result;
    if (a[1] != nullptr) {
      HONE_ASSIGN_OR_RETURN(result, Attribute(element, name.bytes()));
      if (result.undefined() != nullptr && a[2] != nullptr) result = *a[2];
    } else {
      HONE_ASSIGN_OR_RETURN(result, ApplyFilter(name.bytes(), element, {}, budget));
    }
    mapped.push_back(std::move(result));
  }
  return Value::MakeList(std::move(mapped));
}

struct Entry {
  absl::string_view name;
  Filter filter;
  std::vector<absl::string_view> parameters;
};

const std::vector<Entry>& Table() {
  static const auto& table = *new std::vector<Entry>{
      {"capitalize", Recase<Case::kCapital>, {}},
      {"count", Length, {}},
      {"d", Default, {"default_value", "boolean"}},
      {"default", Default, {"default_value", "boolean"}},
      {"dictsort", DictSort, {}},
      {"first", First, {}},
      {"float", ToFloat, {"default"}},
      {"indent", IndentFilter, {"width", "first", "blank"}},
      {"int", ToInteger, {"default"}},
      {"items", Items, {}},
      {"join", Join, {"d", "attribute"}},
      {"last", Last, {}},
      {"length", Length, {}},
      {"list", ToList, {}},
      {"lower", Recase<Case::kLower>, {}},
      {"map", Map, {"filter", "attribute", "default"}},
      {"reject", Select<false, false>, {"test", "argument"}},
      {"rejectattr", Select<false, true>, {"attribute", "test", "argument"}},
      {"replace", ReplaceFilter, {"old", "new", "count"}},
      {"reverse", Reverse, {}},
      {"safe", Unchanged, {}},
      {"select", Select<true, false>, {"test", "argument"}},
      {"selectattr", Select<true, true>, {"attribute", "test", "argument"}},
      {"string", ToString, {}},
      {"title", Recase<Case::kTitle>, {}},
      {"tojson", ToJson, {"indent", "ensure_ascii", "sort_keys", "separators"}},
      {"trim", Trim, {"chars"}},
      {"upper", Recase<Case::kUpper>, {}},
  };
  return table;
}

const Entry* FindEntry(absl::string_view name) {
  for (const Entry& e : Table())
    if (e.name == name) return &e;
  return nullptr;
}

}  // namespace

bool IsFilter(absl::string_view name) {
  return FindEntry(name) != nullptr;
}

absl::StatusOr<Value> ApplyFilter(absl::string_view name, const Value& object,
                                  const CallArguments& arguments, Budget* budget) {
  const Entry* entry = FindEntry(name);
  if (entry == nullptr)
    return absl::InvalidArgumentError(absl::StrCat("there is no filter \"", name, "\""));
  HONE_ASSIGN_OR_RETURN(const Args bound, arguments.Bind(entry->parameters));
  return entry->filter(object, bound, budget);
}

}  // namespace hone
