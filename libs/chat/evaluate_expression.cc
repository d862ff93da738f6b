#include <array>
#include <cmath>
#include <ctime>

#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/chat/evaluator.h"

namespace hone {
namespace {

using Kind = Expression::Kind;

constexpr int64_t kMaxRange = 100'000;

absl::Status Overflow() {
  return absl::InvalidArgumentError("the result does not fit into 64 bits");
}

absl::StatusOr<Value> IntegerArithmetic(const std::string& op, int64_t a, int64_t b) {
  int64_t n = 0;
  if (op == "+")
    return __builtin_add_overflow(a, b, &n) ? absl::StatusOr<Value>(Overflow()) : Value::Integer(n);
  if (op == "-")
    return __builtin_sub_overflow(a, b, &n) ? absl::StatusOr<Value>(Overflow()) : Value::Integer(n);
  if (op == "*")
    return __builtin_mul_overflow(a, b, &n) ? absl::StatusOr<Value>(Overflow()) : Value::Integer(n);
  if (b == 0) return absl::InvalidArgumentError("division by zero");
  if (op == "/") return Value::Float(static_cast<double>(a) / static_cast<double>(b));
  if (b == -1) {
    if (op == "%") return Value::Integer(0);
    return a == INT64_MIN ? absl::StatusOr<Value>(Overflow()) : Value::Integer(-a);
  }
  // Rounded towards minus infinity, as in Python.
  const int64_t quotient = a / b - (a % b != 0 && (a < 0) != (b < 0) ? 1 : 0);
  return Value::Integer(op == "//" ? quotient : a - quotient * b);
}

absl::StatusOr<Value> FloatArithmetic(const std::string& op, double a, double b) {
  if (op == "+") return Value::Float(a + b);
  if (op == "-") return Value::Float(a - b);
  if (op == "*") return Value::Float(a * b);
  if (b == 0) return absl::InvalidArgumentError("division by zero");
  if (op == "/") return Value::Float(a / b);
  const double quotient = std::floor(a / b);
  return Value::Float(op == "//" ? quotient : a - quotient * b);
}

std::string Named(const Value& v) {
  return v.undefined() != nullptr ? absl::StrCat(v.undefined()->what, ", which is undefined")
                                  : std::string(v.type());
}

}  // namespace

absl::StatusOr<Value> Evaluator::Evaluate(const Expression& e, Scope& scope) {
  HONE_RETURN_IF_ERROR(At(e.offset, budget_.Steps()));
  if (depth_ >= kMaxDepth)
    return At(e.offset,
              absl::ResourceExhaustedError(absl::StrCat("nested deeper than ", kMaxDepth)));
  ++depth_;
  absl::StatusOr<Value> value = EvaluateInner(e, scope);
  --depth_;
  if (!value.ok()) return At(e.offset, value.status());
  return value;
}

absl::StatusOr<Value> Evaluator::EvaluateInner(const Expression& e, Scope& scope) {
  switch (e.kind) {
    case Kind::kConstant:
      return e.value;
    case Kind::kName: {
      const Value* v = scope.Find(e.name);
      return v != nullptr ? *v : Value::MakeUndefined(absl::StrCat("'", e.name, "'"));
    }
    case Kind::kList: {
      List list;
      for (const ExpressionPtr& operand : e.operands) {
        HONE_ASSIGN_OR_RETURN(Value v, Evaluate(*operand, scope));
        list.push_back(std::move(v));
      }
      return Value::MakeList(std::move(list));
    }
    case Kind::kDict: {
      Dict dict;
      for (size_t i = 0; i < e.operands.size(); i += 2) {
        HONE_ASSIGN_OR_RETURN(const Value key, Evaluate(*e.operands[i], scope));
        HONE_ASSIGN_OR_RETURN(Value v, Evaluate(*e.operands[i + 1], scope));
        if (key.string() == nullptr)
          return absl::InvalidArgumentError(
              absl::StrCat("key is a ", key.type(), ", expected a string"));
        dict.Set(*key.string(), std::move(v));
      }
      return Value::MakeDict(std::move(dict));
    }
    case Kind::kAnd:
    case Kind::kOr: {
      HONE_ASSIGN_OR_RETURN(Value left, Evaluate(*e.operands[0], scope));
      if (left.Truth() == (e.kind == Kind::kOr)) return left;
      return Evaluate(*e.operands[1], scope);
    }
    case Kind::kConditional: {
      HONE_ASSIGN_OR_RETURN(const Value condition, Evaluate(*e.operands[0], scope));
      if (condition.Truth()) return Evaluate(*e.operands[1], scope);
      if (e.operands[2] == nullptr) return Value::MakeUndefined("the missing else of an inline if");
      return Evaluate(*e.operands[2], scope);
    }
    case Kind::kComparison:
      return Compare(e, scope);
    case Kind::kArithmetic:
      return Arithmetic(e, scope);
    case Kind::kCall:
      return Call(e, scope);
    default:
      break;
  }
  HONE_ASSIGN_OR_RETURN(const Value object, Evaluate(*e.operands[0], scope));
  switch (e.kind) {
    case Kind::kNot:
      return Value::Bool(!object.Truth());
    case Kind::kNegative: {
      int64_t n;
      double x;
      if (object.IsInteger(&n)) return IntegerArithmetic("-", 0, n);
      if (object.IsNumber(&x)) return Value::Float(-x);
      return absl::InvalidArgumentError(absl::StrCat("minus of ", Named(object)));
    }
    case Kind::kAttribute:
      return Attribute(object, e.name);
    case Kind::kItem: {
      HONE_ASSIGN_OR_RETURN(const Value index, Evaluate(*e.operands[1], scope));
      return Item(object, index);
    }
    case Kind::kSlice: {
      std::array<Value, 3> bounds;
      for (int i = 0; i < 3; ++i)
        if (e.operands[i + 1] != nullptr) {
          HONE_ASSIGN_OR_RETURN(bounds[i], Evaluate(*e.operands[i + 1], scope));
        }
      return Slice(object, &bounds[0], &bounds[1], &bounds[2], &budget_);
    }
    default:
      break;
  }
  HONE_ASSIGN_OR_RETURN(const CallArguments arguments, Arguments(e, scope));
  if (e.kind == Kind::kMethod) return CallMethod(e.name, object, arguments, &budget_);
  if (e.kind == Kind::kFilter) return ApplyFilter(e.name, object, arguments, &budget_);
  HONE_ASSIGN_OR_RETURN(const bool passes, ApplyTest(e.name, object, arguments, &budget_));
  return Value::Bool(passes);
}

absl::StatusOr<CallArguments> Evaluator::Arguments(const Expression& e, Scope& scope) {
  CallArguments arguments;
  for (size_t i = 1; i < e.operands.size(); ++i) {
    HONE_ASSIGN_OR_RETURN(Value v, Evaluate(*e.operands[i], scope));
    arguments.positional.push_back(std::move(v));
  }
  for (const auto& [name, expression] : e.keywords) {
    HONE_ASSIGN_OR_RETURN(Value v, Evaluate(*expression, scope));
    arguments.named.emplace_back(name, std::move(v));
  }
  return arguments;
}

absl::StatusOr<Value> Evaluator::Compare(const Expression& e, Scope& scope) {
  HONE_ASSIGN_OR_RETURN(Value left, Evaluate(*e.operands[0], scope));
  for (size_t i = 0; i < e.operators.size(); ++i) {
    HONE_ASSIGN_OR_RETURN(Value right, Evaluate(*e.operands[i + 1], scope));
    const std::string& op = e.operators[i];
    bool holds;
    if (op == "in" || op == "not in") {
      HONE_ASSIGN_OR_RETURN(holds, Contains(right, left, &budget_));
      holds = holds == (op == "in");
    } else {
      HONE_ASSIGN_OR_RETURN(holds, ApplyTest(op, left, {{right}, {}}, &budget_));
    }
    if (!holds) return Value::Bool(false);
    left = std::move(right);
  }
  return Value::Bool(true);
}

absl::StatusOr<Value> Evaluator::Arithmetic(const Expression& e, Scope& scope) {
  HONE_ASSIGN_OR_RETURN(const Value a, Evaluate(*e.operands[0], scope));
  HONE_ASSIGN_OR_RETURN(const Value b, Evaluate(*e.operands[1], scope));
  const bool joined =
      e.name == "~" || (e.name == "+" && a.string() != nullptr && b.string() != nullptr);
  if (joined) {
    HONE_ASSIGN_OR_RETURN(Text text, ToText(a, &budget_));
    HONE_ASSIGN_OR_RETURN(const Text right, ToText(b, &budget_));
    HONE_RETURN_IF_ERROR(budget_.Bytes(text.size() + right.size()));
    text.Append(right);
    return Value::String(std::move(text));
  }
  if (e.name == "+" && a.list() != nullptr && b.list() != nullptr) {
    HONE_RETURN_IF_ERROR(budget_.Bytes((a.list()->size() + b.list()->size()) * sizeof(Value)));
    List list = *a.list();
    list.insert(list.end(), b.list()->begin(), b.list()->end());
    return Value::MakeList(std::move(list));
  }
  int64_t m, n;
  if (a.IsInteger(&m) && b.IsInteger(&n)) return IntegerArithmetic(e.name, m, n);
  double x, y;
  if (a.IsNumber(&x) && b.IsNumber(&y)) return FloatArithmetic(e.name, x, y);
  if (e.name == "*" && a.string() != nullptr && b.IsInteger(&n)) {
    const size_t times = n > 0 ? static_cast<size_t>(n) : 0;
    if (times > size_t{1} << 28) return absl::ResourceExhaustedError("the text becomes too long");
    HONE_RETURN_IF_ERROR(budget_.Bytes(times * (a.string()->size() + 1)));
    Text text;
    for (size_t i = 0; i < times; ++i) text.Append(*a.string());
    return Value::String(std::move(text));
  }
  return absl::InvalidArgumentError(
      absl::StrCat("cannot compute ", Named(a), " ", e.name, " ", Named(b)));
}

absl::StatusOr<Value> Evaluator::Item(const Value& object, const Value& index) {
  if (index.string() != nullptr) return Attribute(object, index.string()->bytes());
  int64_t i;
  if (index.IsInteger(&i) && object.list() != nullptr) {
    const auto n = static_cast<int64_t>(object.list()->size());
    if (i < 0) i += n;
    if (i >= 0 && i < n) return (*object.list())[static_cast<size_t>(i)];
    return Value::MakeUndefined("an element outside of its list");
  }
  if (index.IsInteger(&i) && object.string() != nullptr) {
    // One character: the slice [i:i+1], which has none at the end for -1.
    const Value end = i == -1 ? Value() : Value::Integer(i < INT64_MAX ? i + 1 : i);
    HONE_ASSIGN_OR_RETURN(const Value character, Slice(object, &index, &end, nullptr, &budget_));
    return character.string()->empty() ? Value::MakeUndefined("a character outside of its string")
                                       : character;
  }
  if (object.undefined() != nullptr)
    return absl::InvalidArgumentError(absl::StrCat(object.undefined()->what, " is undefined"));
  return Value::MakeUndefined(absl::StrCat("element ", index.type(), " of a ", object.type()));
}

absl::StatusOr<Value> Evaluator::Call(const Expression& e, Scope& scope) {
  HONE_ASSIGN_OR_RETURN(const Value callee, Evaluate(*e.operands[0], scope));
  HONE_ASSIGN_OR_RETURN(const CallArguments arguments, Arguments(e, scope));
  if (callee.macro() != nullptr) return CallMacro(*callee.macro(), arguments);
  if (callee.function() != nullptr) return CallFunction(callee.function()->name, arguments);
  return absl::InvalidArgumentError(absl::StrCat("cannot call ", Named(callee)));
}

absl::StatusOr<Value> Evaluator::CallFunction(const std::string& name,
                                              const CallArguments& arguments) {
  if (name == "namespace" || name == "dict") {
    if (!arguments.positional.empty())
      return absl::InvalidArgumentError(absl::StrCat(name, " takes named arguments only"));
    Dict dict;
    for (const auto& [key, value] : arguments.named) dict.Set(Text(key), value);
    // Checks what may be stored.
    HONE_ASSIGN_OR_RETURN(Value value, Value::MakeDict(std::move(dict)));
    if (name == "dict") return value;
    const Value space = Value::MakeNamespace();
    for (const auto& [key, v] : arguments.named) space.name_space()->attributes[key] = v;
    return space;
  }
  if (name == "range") {
    HONE_ASSIGN_OR_RETURN(const auto bound, arguments.Bind({"start", "stop", "step"}));
    int64_t start = 0, stop = 0, step = 1;
    if (bound[0] == nullptr || !bound[0]->IsInteger(bound[1] == nullptr ? &stop : &start) ||
        (bound[1] != nullptr && !bound[1]->IsInteger(&stop)) ||
        (bound[2] != nullptr && !bound[2]->IsInteger(&step)) || step == 0)
      return absl::InvalidArgumentError("range needs one to three integers, the step not 0");
    List list;
    for (int64_t i = start; step > 0 ? i < stop : i > stop;) {
      if (static_cast<int64_t>(list.size()) >= kMaxRange)
        return absl::ResourceExhaustedError(absl::StrCat("range of more than ", kMaxRange));
      HONE_RETURN_IF_ERROR(budget_.Steps());
      list.push_back(Value::Integer(i));
      if (__builtin_add_overflow(i, step, &i)) break;
    }
    return Value::MakeList(std::move(list));
  }
  HONE_ASSIGN_OR_RETURN(const auto bound, arguments.Bind({"text"}));
  if (bound[0] == nullptr) return absl::InvalidArgumentError(absl::StrCat(name, " needs a text"));
  HONE_ASSIGN_OR_RETURN(const Text text, ToText(*bound[0], &budget_));
  if (name == "raise_exception")
    return absl::InvalidArgumentError(absl::StrCat("the template refuses: ", text.bytes()));
  std::tm date{};
  if (text.empty() || text.size() > 100 || strptime(date_.c_str(), "%Y-%m-%d", &date) == nullptr)
    return absl::InvalidArgumentError("strftime_now needs a format of 1 to 100 bytes");
  std::array<char, 1024> out;
  const size_t n = std::strftime(out.data(), out.size(), text.bytes().c_str(), &date);
  return Value::String(absl::string_view(out.data(), n));
}

}  // namespace hone
