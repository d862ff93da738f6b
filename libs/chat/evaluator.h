#pragma once

// Runs a parsed chat template. Internal to libs/chat.

#include <memory>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "libs/chat/builtins.h"
#include "libs/chat/syntax.h"

namespace hone {

// Names and values; what is not here is looked for in the scope around.
class Scope {
 public:
  explicit Scope(const Scope* around) : around_(around) {}
  void Set(const std::string& name, Value value) { values_[name] = std::move(value); }
  const Value* Find(const std::string& name) const;

 private:
  const Scope* around_;
  absl::flat_hash_map<std::string, Value> values_;
};

// Not thread-safe; one per rendering.
class Evaluator {
 public:
  // `source` must outlive this. `date`: what strftime_now formats, "YYYY-MM-DD"; empty: the
  // function does not exist, which templates can ask.
  Evaluator(const TemplateSource& source, std::string date);

  // Appends what `body` writes to *out. Sets names in `globals`, whose outermost scope it is.
  absl::Status Run(const Body& body, Scope* globals, Text* out);

 private:
  enum class Flow { kNext, kBreak, kContinue };
  // Of statements and expressions under way, macros included: bounds the stack.
  static constexpr int kMaxDepth = 400;

  absl::StatusOr<Flow> Execute(const Body& body, Scope& scope, Text* out);
  absl::StatusOr<Flow> ExecuteOne(const Statement& s, Scope& scope, Text* out);
  absl::StatusOr<Flow> For(const Statement& s, Scope& scope, Text* out);
  absl::Status Assign(const Target& target, Value value, Scope& scope);

  absl::StatusOr<Value> Evaluate(const Expression& e, Scope& scope);
  absl::StatusOr<Value> EvaluateInner(const Expression& e, Scope& scope);
  absl::StatusOr<CallArguments> Arguments(const Expression& e, Scope& scope);
  absl::StatusOr<Value> Compare(const Expression& e, Scope& scope);
  absl::StatusOr<Value> Arithmetic(const Expression& e, Scope& scope);
  absl::StatusOr<Value> Item(const Value& object, const Value& index);
  absl::StatusOr<Value> Call(const Expression& e, Scope& scope);
  absl::StatusOr<Value> CallMacro(const Macro& macro, const CallArguments& arguments);
  absl::StatusOr<Value> CallFunction(const std::string& name, const CallArguments& arguments);

  // An error gets the place of the innermost expression or statement that it came from.
  absl::Status At(size_t offset, const absl::Status& status) const;

  const TemplateSource& source_;
  const std::string date_;
  Budget budget_;
  Scope* globals_ = nullptr;
  int depth_ = 0;
};

}  // namespace hone
