// The methods of strings and dicts, and the tests behind `is`.

#include <algorithm>

#include "absl/algorithm/container.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/chat/builtins.h"
#include "libs/tokenizer/unicode.h"

namespace hone {
namespace {

using Args = std::vector<const Value*>;
using Method = absl::StatusOr<Value> (*)(const Text&, const Args&, Budget*);

// A string argument that may be left out or none: null then.
absl::StatusOr<const Text*> OptionalText(const Value* v) {
  if (v == nullptr || v->is_none()) return nullptr;
  if (v->string() == nullptr)
    return absl::InvalidArgumentError(absl::StrCat(v->type(), ", expected a string"));
  return v->string();
}

absl::StatusOr<const Text*> RequiredText(const Value* v) {
  HONE_ASSIGN_OR_RETURN(const Text* text, OptionalText(v));
  if (text == nullptr) return absl::InvalidArgumentError("a string argument is missing");
  return text;
}

template <bool left, bool right>
absl::StatusOr<Value> StripMethod(const Text& s, const Args& a, Budget* budget) {
  HONE_RETURN_IF_ERROR(budget->Bytes(s.size()));
  HONE_ASSIGN_OR_RETURN(const Text* chars, OptionalText(a[0]));
  return Value::String(Strip(s, chars, left, right));
}

template <bool from_right>
absl::StatusOr<Value> SplitMethod(const Text& s, const Args& a, Budget* budget) {
  HONE_ASSIGN_OR_RETURN(const Text* separator, OptionalText(a[0]));
  int64_t limit = -1;
  if (a[1] != nullptr && !a[1]->IsInteger(&limit))
    return absl::InvalidArgumentError("maxsplit is no integer");
  HONE_ASSIGN_OR_RETURN(List parts, SplitText(s, separator, limit, from_right, budget));
  return Value::MakeList(std::move(parts));
}

template <bool at_end>
absl::StatusOr<Value> Affix(const Text& s, const Args& a, Budget*) {
  const auto has = [&](const Text& affix) {
    return at_end ? absl::EndsWith(s.bytes(), affix.bytes())
                  : absl::StartsWith(s.bytes(), affix.bytes());
  };
  if (a[0] != nullptr && a[0]->list() != nullptr) {
    for (const Value& v : *a[0]->list()) {
      HONE_ASSIGN_OR_RETURN(const Text* affix, RequiredText(&v));
      if (has(*affix)) return Value::Bool(true);
    }
    return Value::Bool(false);
  }
  HONE_ASSIGN_OR_RETURN(const Text* affix, RequiredText(a[0]));
  return Value::Bool(has(*affix));
}

template <bool at_end>
absl::StatusOr<Value> RemoveAffix(const Text& s, const Args& a, Budget* budget) {
  HONE_ASSIGN_OR_RETURN(const Value has, Affix<at_end>(s, a, budget));
  const size_t n = has.Truth() && a[0]->string() != nullptr ? a[0]->string()->size() : 0;
  HONE_RETURN_IF_ERROR(budget->Bytes(s.size()));
  return Value::String(at_end ? s.Cut(0, s.size() - n) : s.Cut(n, s.size()));
}

absl::StatusOr<Value> ReplaceMethod(const Text& s, const Args& a, Budget* budget) {
  HONE_ASSIGN_OR_RETURN(const Text* from, RequiredText(a[0]));
  HONE_ASSIGN_OR_RETURN(const Text* to, RequiredText(a[1]));
  int64_t limit = -1;
  if (a[2] != nullptr && !a[2]->IsInteger(&limit))
    return absl::InvalidArgumentError("count is no integer");
  HONE_ASSIGN_OR_RETURN(Text out, Replace(s, *from, *to, limit, budget));
  return Value::String(std::move(out));
}

template <Case to>
absl::StatusOr<Value> Recase(const Text& s, const Args&, Budget* budget) {
  HONE_RETURN_IF_ERROR(budget->Bytes(s.size()));
  return Value::String(ChangeCase(s, to));
}

absl::StatusOr<Value> Find(const Text& s, const Args& a, Budget* budget) {
  HONE_RETURN_IF_ERROR(budget->Bytes(s.size()));
  HONE_ASSIGN_OR_RETURN(const Text* what, RequiredText(a[0]));
  const size_t at = s.bytes().find(what->bytes());
  return Value::Integer(at == std::string::npos ? -1 : Characters(s.Cut(0, at)));
}

absl::StatusOr<Value> Count(const Text& s, const Args& a, Budget* budget) {
  HONE_ASSIGN_OR_RETURN(const Text* what, RequiredText(a[0]));
  HONE_ASSIGN_OR_RETURN(const List parts, SplitText(s, what, -1, false, budget));
  return Value::Integer(static_cast<int64_t>(parts.size()) - 1);
}

absl::StatusOr<Value> SplitLines(const Text& s, const Args&, Budget* budget) {
  const Text newline("\n");
  HONE_ASSIGN_OR_RETURN(List lines, SplitText(s, &newline, -1, false, budget));
  if (lines.back().string()->empty()) lines.pop_back();
  return Value::MakeList(std::move(lines));
}

absl::StatusOr<Value> IsDigits(const Text& s, const Args&, Budget*) {
  return Value::Bool(!s.empty() && std::all_of(s.bytes().begin(), s.bytes().end(),
                                               [](char c) { return c >= '0' && c <= '9'; }));
}

absl::StatusOr<Value> JoinMethod(const Text& s, const Args& a, Budget* budget) {
  if (a[0] == nullptr) return absl::InvalidArgumentError("a list is missing");
  return ApplyFilter("join", *a[0], {{Value::String(s)}, {}}, budget);
}

struct Entry {
  absl::string_view name;
  Method method;
  std::vector<absl::string_view> parameters;
};

const std::vector<Entry>& StringMethods() {
  static const auto& table = *new std::vector<Entry>{
      {"capitalize", Recase<Case::kCapital>, {}},
      {"count", Count, {"sub"}},
      {"endswith", Affix<true>, {"suffix"}},
      {"find", Find, {"sub"}},
      {"isdigit", IsDigits, {}},
      {"join", JoinMethod, {"iterable"}},
      {"lower", Recase<Case::kLower>, {}},
      {"lstrip", StripMethod<true, false>, {"chars"}},
      {"removeprefix", RemoveAffix<false>, {"prefix"}},
      {"removesuffix", RemoveAffix<true>, {"suffix"}},
      {"replace", ReplaceMethod, {"old", "new", "count"}},
      {"rsplit", SplitMethod<true>, {"sep", "maxsplit"}},
      {"rstrip", StripMethod<false, true>, {"chars"}},
      {"split", SplitMethod<false>, {"sep", "maxsplit"}},
      {"splitlines", SplitLines, {}},
      {"startswith", Affix<false>, {"prefix"}},
      {"strip", StripMethod<true, true>, {"chars"}},
      {"title", Recase<Case::kTitle>, {}},
      {"upper", Recase<Case::kUpper>, {}},
  };
  return table;
}

absl::StatusOr<Value> DictMethod(absl::string_view name, const Dict& dict,
                                 const CallArguments& arguments, Budget* budget) {
  if (name == "get") {
    HONE_ASSIGN_OR_RETURN(const Args a, arguments.Bind({"key", "default"}));
    const Value* found =
        a[0] != nullptr && a[0]->string() != nullptr ? dict.Find(a[0]->string()->bytes()) : nullptr;
    return found != nullptr ? *found : a[1] != nullptr ? *a[1] : Value();
  }
  HONE_RETURN_IF_ERROR(arguments.Bind({}).status());
  HONE_RETURN_IF_ERROR(budget->Bytes(dict.entries().size() * 4 * sizeof(Value)));
  List list;
  for (const auto& [key, value] : dict.entries()) {
    if (name == "keys") {
      list.push_back(Value::String(key));
    } else if (name == "values") {
      list.push_back(value);
    } else {
      HONE_ASSIGN_OR_RETURN(Value pair, Value::MakeList({Value::String(key), value}));
      list.push_back(std::move(pair));
    }
  }
  return Value::MakeList(std::move(list));
}

bool IsLetters(const Value& v, bool upper) {
  if (v.string() == nullptr) return false;
  bool any = false;
  for (const char c : v.string()->bytes()) {
    if (upper ? (c >= 'a' && c <= 'z') : (c >= 'A' && c <= 'Z')) return false;
    any |= upper ? (c >= 'A' && c <= 'Z') : (c >= 'a' && c <= 'z');
  }
  return any;
}

constexpr absl::string_view kPlainTests[] = {
    "boolean", "callable", "defined", "even",    "false",     "float",
    "integer", "iterable", "lower",   "mapping", "none",      "number",
    "odd",     "sequence", "string",  "true",    "undefined", "upper"};
// With an argument.
constexpr absl::string_view kComparingTests[] = {
    "==", "!=",          "<",  "<=", ">",  ">=",       "divisibleby", "eq", "equalto",
    "ge", "greaterthan", "gt", "in", "le", "lessthan", "lt",          "ne", "sameas"};

bool PlainTest(absl::string_view name, const Value& v, int64_t n, bool integer) {
  if (name == "defined") return v.undefined() == nullptr;
  if (name == "undefined") return v.undefined() != nullptr;
  if (name == "none") return v.is_none();
  if (name == "string") return v.string() != nullptr;
  if (name == "mapping") return v.dict() != nullptr;
  if (name == "boolean") return v.boolean() != nullptr;
  if (name == "true") return v.boolean() != nullptr && *v.boolean();
  if (name == "false") return v.boolean() != nullptr && !*v.boolean();
  if (name == "integer") return v.integer() != nullptr;
  if (name == "float") return v.floating() != nullptr;
  double x;
  if (name == "number") return v.IsNumber(&x);
  if (name == "callable") return v.function() != nullptr || v.macro() != nullptr;
  // Jinja's undefined can be iterated over and has a length.
  if (name == "iterable" || name == "sequence")
    return v.string() != nullptr || v.list() != nullptr || v.dict() != nullptr ||
           v.undefined() != nullptr;
  if (name == "lower" || name == "upper") return IsLetters(v, name == "upper");
  return integer && (n % 2 == 0) == (name == "even");
}

}  // namespace

bool IsTest(absl::string_view name) {
  return absl::c_linear_search(kPlainTests, name) || absl::c_linear_search(kComparingTests, name);
}

absl::StatusOr<bool> ApplyTest(absl::string_view name, const Value& object,
                               const CallArguments& arguments, Budget* budget) {
  int64_t n = 0;
  const bool integer = object.IsInteger(&n);
  if (!absl::c_linear_search(kComparingTests, name)) {
    HONE_RETURN_IF_ERROR(arguments.Bind({}).status());
    return PlainTest(name, object, n, integer);
  }
  HONE_ASSIGN_OR_RETURN(const Args bound, arguments.Bind({"other"}));
  if (bound[0] == nullptr)
    return absl::InvalidArgumentError(absl::StrCat("test \"", name, "\" needs an argument"));
  const Value& other = *bound[0];
  if (name == "in") return Contains(other, object, budget);
  if (name == "divisibleby") {
    int64_t by;
    if (!integer || !other.IsInteger(&by) || by == 0)
      return absl::InvalidArgumentError("divisibleby needs two integers, the second not 0");
    return by == -1 || n % by == 0;
  }
  const bool not_equal = name == "!=" || name == "ne";
  if (not_equal || name == "==" || name == "eq" || name == "equalto" || name == "sameas") {
    HONE_ASSIGN_OR_RETURN(const bool same, Equal(object, other, budget));
    return same != not_equal;
  }
  if (name == "<" || name == "lt" || name == "lessthan") return Less(object, other);
  if (name == ">" || name == "gt" || name == "greaterthan") return Less(other, object);
  const bool at_least = name == ">=" || name == "ge";
  HONE_ASSIGN_OR_RETURN(const bool beyond, at_least ? Less(object, other) : Less(other, object));
  return !beyond;
}

absl::StatusOr<Value> CallMethod(absl::string_view name, const Value& object,
                                 const CallArguments& arguments, Budget* budget) {
  if (object.undefined() != nullptr)
    return absl::InvalidArgumentError(absl::StrCat(object.undefined()->what, " is undefined"));
  if (object.string() != nullptr) {
    for (const Entry& e : StringMethods()) {
      if (e.name != name) continue;
      HONE_ASSIGN_OR_RETURN(const Args bound, arguments.Bind(e.parameters));
      return e.method(*object.string(), bound, budget);
    }
  }
  if (object.dict() != nullptr &&
      (name == "get" || name == "items" || name == "keys" || name == "values"))
    return DictMethod(name, *object.dict(), arguments, budget);
  return absl::InvalidArgumentError(
      absl::StrCat("a ", object.type(), " has no method \"", name, "\" here"));
}

}  // namespace hone
