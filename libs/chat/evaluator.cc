#include "libs/chat/evaluator.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/base/status.h"

namespace hone {
namespace {

constexpr int64_t kMaxSteps = 5'000'000;           // about a second
constexpr int64_t kMaxBytes = int64_t{256} << 20;  // of all texts on the way
constexpr size_t kMaxOutput = size_t{16} << 20;

}  // namespace

const Value* Scope::Find(const std::string& name) const {
  for (const Scope* scope = this; scope != nullptr; scope = scope->around_) {
    const auto it = scope->values_.find(name);
    if (it != scope->values_.end()) return &it->second;
  }
  return nullptr;
}

Evaluator::Evaluator(const TemplateSource& source, std::string date)
    : source_(source), date_(std::move(date)), budget_(kMaxSteps, kMaxBytes) {}

absl::Status Evaluator::At(size_t offset, const absl::Status& status) const {
  if (status.ok() || absl::StartsWith(status.message(), absl::StrCat(source_.name, ":")))
    return status;
  return source_.Error(offset, status.message(), status.code());
}

absl::Status Evaluator::Run(const Body& body, Scope* globals, Text* out) {
  globals_ = globals;
  for (const char* name : {"range", "namespace", "dict", "raise_exception"})
    globals->Set(name, Value::MakeFunction(name));
  if (!date_.empty()) globals->Set("strftime_now", Value::MakeFunction("strftime_now"));
  return Execute(body, *globals, out).status();
}

absl::StatusOr<Evaluator::Flow> Evaluator::Execute(const Body& body, Scope& scope, Text* out) {
  for (const Statement& s : body) {
    ++depth_;
    absl::StatusOr<Flow> flow = depth_ > kMaxDepth
                                    ? absl::StatusOr<Flow>(absl::ResourceExhaustedError(
                                          absl::StrCat("nested deeper than ", kMaxDepth)))
                                    : ExecuteOne(s, scope, out);
    --depth_;
    if (!flow.ok()) return At(s.offset, flow.status());
    if (*flow != Flow::kNext) return flow;
    if (out->size() > kMaxOutput)
      return At(s.offset, absl::ResourceExhaustedError(
                              absl::StrCat("writes more than ", kMaxOutput, " bytes")));
  }
  return Flow::kNext;
}

absl::StatusOr<Evaluator::Flow> Evaluator::ExecuteOne(const Statement& s, Scope& scope, Text* out) {
  HONE_RETURN_IF_ERROR(budget_.Steps());
  switch (s.kind) {
    case Statement::Kind::kText:
      HONE_RETURN_IF_ERROR(budget_.Bytes(s.text.size()));
      out->Append(s.text);
      return Flow::kNext;
    case Statement::Kind::kOutput: {
      HONE_ASSIGN_OR_RETURN(const Value value, Evaluate(*s.expression, scope));
      HONE_ASSIGN_OR_RETURN(const Text text, ToText(value, &budget_));
      HONE_RETURN_IF_ERROR(budget_.Bytes(text.size()));
      out->Append(text);
      return Flow::kNext;
    }
    case Statement::Kind::kIf:
      for (const Statement::Branch& branch : s.branches) {
        bool taken = true;
        if (branch.condition != nullptr) {
          HONE_ASSIGN_OR_RETURN(const Value condition, Evaluate(*branch.condition, scope));
          taken = condition.Truth();
        }
        if (taken) return Execute(branch.body, scope, out);
      }
      return Flow::kNext;
    case Statement::Kind::kFor:
      return For(s, scope, out);
    case Statement::Kind::kSet: {
      HONE_ASSIGN_OR_RETURN(Value value, Evaluate(*s.expression, scope));
      HONE_RETURN_IF_ERROR(Assign(s.target, std::move(value), scope));
      return Flow::kNext;
    }
    case Statement::Kind::kSetBlock: {
      Scope inner(&scope);
      Text text;
      HONE_RETURN_IF_ERROR(Execute(s.body, inner, &text).status());
      Value value = Value::String(std::move(text));
      if (s.expression != nullptr) {
        inner.Set("", std::move(value));
        HONE_ASSIGN_OR_RETURN(value, Evaluate(*s.expression, inner));
      }
      HONE_RETURN_IF_ERROR(Assign(s.target, std::move(value), scope));
      return Flow::kNext;
    }
    case Statement::Kind::kMacro:
      scope.Set(s.macro->name, Value::MakeMacro(s.macro.get()));
      return Flow::kNext;
    case Statement::Kind::kGeneration: {
      Scope inner(&scope);
      return Execute(s.body, inner, out);
    }
    case Statement::Kind::kBreak:
      return Flow::kBreak;
    case Statement::Kind::kContinue:
      return Flow::kContinue;
  }
  return Flow::kNext;
}

absl::StatusOr<Evaluator::Flow> Evaluator::For(const Statement& s, Scope& scope, Text* out) {
  HONE_ASSIGN_OR_RETURN(const Value over, Evaluate(*s.expression, scope));
  HONE_ASSIGN_OR_RETURN(List list, Elements(over, &budget_));
  if (s.condition != nullptr) {
    List kept;
    for (Value& element : list) {
      Scope inner(&scope);
      HONE_RETURN_IF_ERROR(Assign(s.target, element, inner));
      HONE_ASSIGN_OR_RETURN(const Value condition, Evaluate(*s.condition, inner));
      if (condition.Truth()) kept.push_back(std::move(element));
    }
    list = std::move(kept);
  }
  if (list.empty()) return Execute(s.otherwise, scope, out);
  const auto n = static_cast<int64_t>(list.size());
  for (int64_t i = 0; i < n; ++i) {
    // Every turn has a scope of its own: what it sets is gone in the next.
    Scope inner(&scope);
    Dict loop;
    loop.Set(Text("index"), Value::Integer(i + 1));
    loop.Set(Text("index0"), Value::Integer(i));
    loop.Set(Text("revindex"), Value::Integer(n - i));
    loop.Set(Text("revindex0"), Value::Integer(n - i - 1));
    loop.Set(Text("first"), Value::Bool(i == 0));
    loop.Set(Text("last"), Value::Bool(i == n - 1));
    loop.Set(Text("length"), Value::Integer(n));
    if (i > 0) loop.Set(Text("previtem"), list[i - 1]);
    if (i + 1 < n) loop.Set(Text("nextitem"), list[i + 1]);
    HONE_ASSIGN_OR_RETURN(Value loop_value, Value::MakeDict(std::move(loop)));
    inner.Set("loop", std::move(loop_value));
    HONE_RETURN_IF_ERROR(Assign(s.target, list[i], inner));
    HONE_ASSIGN_OR_RETURN(const Flow flow, Execute(s.body, inner, out));
    if (flow == Flow::kBreak) break;
  }
  return Flow::kNext;
}

absl::Status Evaluator::Assign(const Target& target, Value value, Scope& scope) {
  if (!target.attribute.empty()) {
    const Value* object = scope.Find(target.names[0]);
    if (object == nullptr || object->name_space() == nullptr)
      return absl::InvalidArgumentError(absl::StrCat("cannot set ", target.names[0], ".",
                                                     target.attribute, ": ", target.names[0],
                                                     " is no namespace"));
    // A list refuses what must not be stored; so does this.
    HONE_RETURN_IF_ERROR(Value::MakeList({value}).status());
    object->name_space()->attributes[target.attribute] = std::move(value);
    return absl::OkStatus();
  }
  if (target.names.size() == 1) {
    scope.Set(target.names[0], std::move(value));
    return absl::OkStatus();
  }
  if (value.list() == nullptr || value.list()->size() != target.names.size())
    return absl::InvalidArgumentError(
        absl::StrCat("cannot unpack a ", value.type(), " into ", target.names.size(), " names"));
  for (size_t i = 0; i < target.names.size(); ++i) scope.Set(target.names[i], (*value.list())[i]);
  return absl::OkStatus();
}

absl::StatusOr<Value> Evaluator::CallMacro(const Macro& macro, const CallArguments& arguments) {
  std::vector<absl::string_view> names;
  for (const auto& [name, unused] : macro.parameters) names.emplace_back(name);
  HONE_ASSIGN_OR_RETURN(const auto bound, arguments.Bind(names));
  Scope scope(globals_);
  for (size_t i = 0; i < bound.size(); ++i) {
    const auto& [name, fallback] = macro.parameters[i];
    Value value = Value::MakeUndefined(absl::StrCat("parameter '", name, "'"));
    if (bound[i] != nullptr) {
      value = *bound[i];
    } else if (fallback != nullptr) {
      HONE_ASSIGN_OR_RETURN(value, Evaluate(*fallback, scope));
    }
    scope.Set(name, std::move(value));
  }
  Text out;
  HONE_RETURN_IF_ERROR(Execute(macro.body, scope, &out).status());
  return Value::String(std::move(out));
}

}  // namespace hone
