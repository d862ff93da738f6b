#pragma once

// What an expression of a chat template evaluates to: the values of Python that templates use.
// Immutable but for namespaces, so copies are cheap and share. Internal to libs/chat.

#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/chat/text.h"

namespace hone {

class Value;
struct Macro;

// What a rendering may still cost. Templates come with models and are as untrusted as these.
class Budget {
 public:
  Budget(int64_t steps, int64_t bytes) : steps_(steps), bytes_(bytes) {}
  // RESOURCE_EXHAUSTED once all is spent.
  absl::Status Steps(int64_t n = 1);
  absl::Status Bytes(size_t n);

 private:
  int64_t steps_;
  int64_t bytes_;
};

using List = std::vector<Value>;

// Keys in the order in which they were added.
class Dict {
 public:
  const Value* Find(absl::string_view key) const;
  void Set(const Text& key, Value value);
  const std::vector<std::pair<Text, Value>>& entries() const { return entries_; }

 private:
  std::vector<std::pair<Text, Value>> entries_;
  absl::flat_hash_map<std::string, size_t> index_;
};

class Value {
 public:
  struct Undefined {
    std::string what;  // "'x'": what has no value, for messages
  };
  struct None {};
  struct Namespace {
    absl::flat_hash_map<std::string, Value> attributes;
  };
  // A function of the environment: range, namespace, raise_exception, strftime_now, dict.
  struct Function {
    std::string name;
  };

  Value() : data_(None()) {}
  static Value MakeUndefined(std::string what) { return Value(Undefined{std::move(what)}); }
  static Value Bool(bool b) { return Value(b); }
  static Value Integer(int64_t n) { return Value(n); }
  static Value Float(double x) { return Value(x); }
  static Value String(Text text) { return Value(std::make_shared<const Text>(std::move(text))); }
  static Value String(absl::string_view template_text) { return String(Text(template_text)); }
  static Value MakeNamespace() { return Value(std::make_shared<Namespace>()); }
  static Value MakeFunction(std::string name) { return Value(Function{std::move(name)}); }
  static Value MakeMacro(const Macro* macro) { return Value(macro); }
  // INVALID_ARGUMENT when a namespace would be stored in a container, or nesting exceeds 64.
  static absl::StatusOr<Value> MakeList(List list);
  static absl::StatusOr<Value> MakeDict(Dict dict);
  // Strings become foreign text, except values of "role" that are plain words: they name a speaker
  // and are often part of a control token ("<|" + role + "|>").
  static absl::StatusOr<Value> FromJson(const nlohmann::ordered_json& json, int depth = 0);

  template <typename T>
  const T* Get() const {
    return std::get_if<T>(&data_);
  }
  const Undefined* undefined() const { return Get<Undefined>(); }
  bool is_none() const { return Get<None>() != nullptr; }
  const bool* boolean() const { return Get<bool>(); }
  const int64_t* integer() const { return Get<int64_t>(); }
  const double* floating() const { return Get<double>(); }
  const Text* string() const {
    const auto* p = Get<std::shared_ptr<const Text>>();
    return p == nullptr ? nullptr : p->get();
  }
  const List* list() const {
    const auto* p = Get<std::shared_ptr<const ListNode>>();
    return p == nullptr ? nullptr : &(*p)->value;
  }
  const Dict* dict() const {
    const auto* p = Get<std::shared_ptr<const DictNode>>();
    return p == nullptr ? nullptr : &(*p)->value;
  }
  Namespace* name_space() const {
    const auto* p = Get<std::shared_ptr<Namespace>>();
    return p == nullptr ? nullptr : p->get();
  }
  const Function* function() const { return Get<Function>(); }
  const Macro* macro() const {
    const auto* m = Get<const Macro*>();
    return m == nullptr ? nullptr : *m;
  }
  // Integers and, as in Python, booleans.
  bool IsInteger(int64_t* n) const;
  // Integers, booleans and floats.
  bool IsNumber(double* x) const;

  bool Truth() const;
  // "string", "dict", ...: for messages.
  absl::string_view type() const;

 private:
  struct ListNode {
    List value;
    int depth;
  };
  struct DictNode {
    Dict value;
    int depth;
  };
  using Data = std::variant<Undefined, None, bool, int64_t, double, std::shared_ptr<const Text>,
                            std::shared_ptr<const ListNode>, std::shared_ptr<const DictNode>,
                            std::shared_ptr<Namespace>, Function, const Macro*>;
  template <typename T>
  explicit Value(T data) : data_(std::move(data)) {}
  // How deep `value` nests, or an error for a namespace.
  static absl::StatusOr<int> Depth(const Value& value);

  Data data_;
};

// Python's ==.
absl::StatusOr<bool> Equal(const Value& a, const Value& b, Budget* budget);
// Python's <: of two numbers or two strings.
absl::StatusOr<bool> Less(const Value& a, const Value& b);
// Python's `in`.
absl::StatusOr<bool> Contains(const Value& container, const Value& item, Budget* budget);

// Python's str() and repr().
absl::StatusOr<Text> ToText(const Value& value, Budget* budget);
// json.dumps(ensure_ascii=False) of CPython; `indent` 0: on one line.
absl::StatusOr<Text> ToJsonText(const Value& value, int indent, Budget* budget);

}  // namespace hone
