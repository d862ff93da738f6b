#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/chat/builtins.h"
#include "libs/chat/parser.h"

namespace hone {
namespace {

using Kind = Expression::Kind;

constexpr int kMaxDepth = 200;    // of an expression's tree: evaluation recurses along it
constexpr int kMaxDescent = 100;  // brackets and the like within each other

}  // namespace

class Parser::Descent {
 public:
  explicit Descent(Parser* parser) : parser_(parser) { ++parser_->depth_; }
  ~Descent() { --parser_->depth_; }
  absl::Status Check() const {
    if (parser_->depth_ <= kMaxDescent) return absl::OkStatus();
    return parser_->source_.Error(parser_->Peek().offset,
                                  absl::StrCat("nested deeper than ", kMaxDescent));
  }

 private:
  Parser* parser_;
};

ExpressionPtr Parser::Make(Kind kind, size_t offset, std::string name) {
  auto e = std::make_unique<Expression>();
  e->kind = kind;
  e->offset = offset;
  e->name = std::move(name);
  return e;
}

absl::Status Parser::AddOperand(ExpressionPtr operand, Expression* e) const {
  if (operand != nullptr) e->depth = std::max(e->depth, operand->depth + 1);
  e->operands.push_back(std::move(operand));
  if (e->depth <= kMaxDepth) return absl::OkStatus();
  return source_.Error(e->offset, absl::StrCat("expression of more than ", kMaxDepth, " levels"));
}

absl::StatusOr<ExpressionPtr> Parser::Tuple() {
  const size_t offset = Peek().offset;
  HONE_ASSIGN_OR_RETURN(ExpressionPtr first, Conditional());
  if (!IsOperator(",")) return first;
  ExpressionPtr list = Make(Kind::kList, offset);
  HONE_RETURN_IF_ERROR(AddOperand(std::move(first), list.get()));
  while (TakeOperator(",")) {
    if (IsOperator(")") || Peek().kind == Token::Kind::kCloseOutput ||
        Peek().kind == Token::Kind::kCloseBlock)
      break;
    HONE_ASSIGN_OR_RETURN(ExpressionPtr next, Conditional());
    HONE_RETURN_IF_ERROR(AddOperand(std::move(next), list.get()));
  }
  return list;
}

absl::StatusOr<ExpressionPtr> Parser::Conditional() {
  const Descent descent(this);
  HONE_RETURN_IF_ERROR(descent.Check());
  HONE_ASSIGN_OR_RETURN(ExpressionPtr value, Or());
  while (IsName("if")) {
    ExpressionPtr e = Make(Kind::kConditional, Peek().offset);
    ++at_;
    HONE_ASSIGN_OR_RETURN(ExpressionPtr condition, Or());
    ExpressionPtr otherwise;
    if (TakeName("else")) {
      HONE_ASSIGN_OR_RETURN(otherwise, Conditional());
    }
    HONE_RETURN_IF_ERROR(AddOperand(std::move(condition), e.get()));
    HONE_RETURN_IF_ERROR(AddOperand(std::move(value), e.get()));
    HONE_RETURN_IF_ERROR(AddOperand(std::move(otherwise), e.get()));
    value = std::move(e);
  }
  return value;
}

absl::StatusOr<ExpressionPtr> Parser::Or() {
  HONE_ASSIGN_OR_RETURN(ExpressionPtr left, And());
  while (IsName("or")) {
    ExpressionPtr e = Make(Kind::kOr, Peek().offset);
    ++at_;
    HONE_RETURN_IF_ERROR(AddOperand(std::move(left), e.get()));
    HONE_ASSIGN_OR_RETURN(ExpressionPtr right, And());
    HONE_RETURN_IF_ERROR(AddOperand(std::move(right), e.get()));
    left = std::move(e);
  }
  return left;
}

absl::StatusOr<ExpressionPtr> Parser::And() {
  HONE_ASSIGN_OR_RETURN(ExpressionPtr left, Not());
  while (IsName("and")) {
    ExpressionPtr e = Make(Kind::kAnd, Peek().offset);
    ++at_;
    HONE_RETURN_IF_ERROR(AddOperand(std::move(left), e.get()));
    HONE_ASSIGN_OR_RETURN(ExpressionPtr right, Not());
    HONE_RETURN_IF_ERROR(AddOperand(std::move(right), e.get()));
    left = std::move(e);
  }
  return left;
}

absl::StatusOr<ExpressionPtr> Parser::Not() {
  if (!IsName("not")) return Comparison();
  const Descent descent(this);
  HONE_RETURN_IF_ERROR(descent.Check());
  ExpressionPtr e = Make(Kind::kNot, Peek().offset);
  ++at_;
  HONE_ASSIGN_OR_RETURN(ExpressionPtr operand, Not());
  HONE_RETURN_IF_ERROR(AddOperand(std::move(operand), e.get()));
  return e;
}

absl::StatusOr<ExpressionPtr> Parser::Comparison() {
  HONE_ASSIGN_OR_RETURN(ExpressionPtr first, Sum());
  ExpressionPtr e = Make(Kind::kComparison, Peek().offset);
  HONE_RETURN_IF_ERROR(AddOperand(std::move(first), e.get()));
  while (true) {
    std::string op;
    if (IsName("in")) {
      op = "in";
    } else if (IsName("not") && IsName("in", 1)) {
      op = "not in";
      ++at_;
    } else {
      for (const absl::string_view o : {"==", "!=", "<", "<=", ">", ">="})
        if (IsOperator(o)) op = std::string(o);
      if (op.empty()) break;
    }
    ++at_;
    HONE_ASSIGN_OR_RETURN(ExpressionPtr next, Sum());
    HONE_RETURN_IF_ERROR(AddOperand(std::move(next), e.get()));
    e->operators.push_back(std::move(op));
  }
  if (e->operators.empty()) return std::move(e->operands[0]);
  return e;
}

absl::StatusOr<ExpressionPtr> Parser::LeftToRight(
    Rule operand, std::initializer_list<absl::string_view> operators) {
  HONE_ASSIGN_OR_RETURN(ExpressionPtr left, (this->*operand)());
  while (true) {
    const auto op = std::find_if(operators.begin(), operators.end(),
                                 [this](absl::string_view o) { return IsOperator(o); });
    if (op == operators.end()) return left;
    ExpressionPtr e = Make(Kind::kArithmetic, Peek().offset, std::string(*op));
    ++at_;
    HONE_RETURN_IF_ERROR(AddOperand(std::move(left), e.get()));
    HONE_ASSIGN_OR_RETURN(ExpressionPtr right, (this->*operand)());
    HONE_RETURN_IF_ERROR(AddOperand(std::move(right), e.get()));
    left = std::move(e);
  }
}

absl::StatusOr<ExpressionPtr> Parser::Sum() {
  return LeftToRight(&Parser::Concatenation, {"+", "-"});
}
absl::StatusOr<ExpressionPtr> Parser::Concatenation() {
  return LeftToRight(&Parser::Product, {"~"});
}
absl::StatusOr<ExpressionPtr> Parser::Product() {
  HONE_ASSIGN_OR_RETURN(ExpressionPtr left, Unary(true));
  while (IsOperator("*") || IsOperator("/") || IsOperator("//") || IsOperator("%")) {
    ExpressionPtr e = Make(Kind::kArithmetic, Peek().offset, Peek().text);
    ++at_;
    HONE_RETURN_IF_ERROR(AddOperand(std::move(left), e.get()));
    HONE_ASSIGN_OR_RETURN(ExpressionPtr right, Unary(true));
    HONE_RETURN_IF_ERROR(AddOperand(std::move(right), e.get()));
    left = std::move(e);
  }
  if (IsOperator("**")) return Unexpected("another operator (** is not supported)");
  return left;
}

absl::StatusOr<ExpressionPtr> Parser::Unary(bool with_filters) {
  ExpressionPtr e;
  if (IsOperator("-") || IsOperator("+")) {
    const Descent descent(this);
    HONE_RETURN_IF_ERROR(descent.Check());
    const bool negative = IsOperator("-");
    e = Make(Kind::kNegative, Peek().offset);
    ++at_;
    HONE_ASSIGN_OR_RETURN(ExpressionPtr operand, Unary(false));
    if (negative)
      HONE_RETURN_IF_ERROR(AddOperand(std::move(operand), e.get()));
    else
      e = std::move(operand);
  } else {
    HONE_ASSIGN_OR_RETURN(e, Primary());
  }
  HONE_ASSIGN_OR_RETURN(e, Postfix(std::move(e)));
  return with_filters ? Filters(std::move(e)) : std::move(e);
}

absl::StatusOr<ExpressionPtr> Parser::Primary() {
  const Token& t = Peek();
  const size_t offset = t.offset;
  ExpressionPtr constant = Make(Kind::kConstant, offset);
  switch (t.kind) {
    case Token::Kind::kName: {
      const std::string name = t.text;
      ++at_;
      if (name == "true" || name == "True" || name == "false" || name == "False")
        constant->value = Value::Bool(name[0] == 't' || name[0] == 'T');
      else if (name != "none" && name != "None")
        return Make(Kind::kName, offset, name);
      return constant;
    }
    case Token::Kind::kString: {
      std::string text;
      while (Peek().kind == Token::Kind::kString) text += tokens_[at_++].text;
      constant->value = Value::String(text);
      return constant;
    }
    case Token::Kind::kInteger: {
      int64_t n;
      if (!absl::SimpleAtoi(t.text, &n))
        return source_.Error(offset, absl::StrCat(t.text, " does not fit into 64 bits"));
      ++at_;
      constant->value = Value::Integer(n);
      return constant;
    }
    case Token::Kind::kFloat: {
      double x;
      if (!absl::SimpleAtod(t.text, &x)) return Unexpected("a number");
      ++at_;
      constant->value = Value::Float(x);
      return constant;
    }
    default:
      break;
  }
  if (TakeOperator("(")) {
    if (TakeOperator(")")) return Make(Kind::kList, offset);
    HONE_ASSIGN_OR_RETURN(ExpressionPtr e, Tuple());
    HONE_RETURN_IF_ERROR(Expect(")"));
    return e;
  }
  const bool list = IsOperator("[");
  if (!list && !IsOperator("{")) return Unexpected("a value");
  ++at_;
  ExpressionPtr e = Make(list ? Kind::kList : Kind::kDict, offset);
  const char* close = list ? "]" : "}";
  while (!TakeOperator(close)) {
    if (!e->operands.empty()) {
      HONE_RETURN_IF_ERROR(Expect(","));
      if (TakeOperator(close)) break;
    }
    HONE_ASSIGN_OR_RETURN(ExpressionPtr element, Conditional());
    HONE_RETURN_IF_ERROR(AddOperand(std::move(element), e.get()));
    if (list) continue;
    HONE_RETURN_IF_ERROR(Expect(":"));
    HONE_ASSIGN_OR_RETURN(ExpressionPtr value, Conditional());
    HONE_RETURN_IF_ERROR(AddOperand(std::move(value), e.get()));
  }
  return e;
}

absl::StatusOr<ExpressionPtr> Parser::Postfix(ExpressionPtr e) {
  while (true) {
    const size_t offset = Peek().offset;
    if (TakeOperator(".")) {
      ExpressionPtr next;
      if (Peek().kind == Token::Kind::kInteger) {  // a.0 is a[0]
        next = Make(Kind::kItem, offset);
        HONE_RETURN_IF_ERROR(AddOperand(std::move(e), next.get()));
        HONE_ASSIGN_OR_RETURN(ExpressionPtr index, Primary());
        HONE_RETURN_IF_ERROR(AddOperand(std::move(index), next.get()));
      } else {
        HONE_ASSIGN_OR_RETURN(std::string name, ExpectName());
        const bool call = TakeOperator("(");
        next = Make(call ? Kind::kMethod : Kind::kAttribute, offset, std::move(name));
        HONE_RETURN_IF_ERROR(AddOperand(std::move(e), next.get()));
        if (call) HONE_RETURN_IF_ERROR(Arguments(next.get()));
      }
      e = std::move(next);
    } else if (TakeOperator("[")) {
      HONE_ASSIGN_OR_RETURN(e, Subscript(std::move(e)));
    } else if (TakeOperator("(")) {
      ExpressionPtr call = Make(Kind::kCall, offset);
      HONE_RETURN_IF_ERROR(AddOperand(std::move(e), call.get()));
      HONE_RETURN_IF_ERROR(Arguments(call.get()));
      e = std::move(call);
    } else {
      return e;
    }
  }
}

absl::StatusOr<ExpressionPtr> Parser::Subscript(ExpressionPtr object) {
  ExpressionPtr e = Make(Kind::kItem, Peek().offset);
  HONE_RETURN_IF_ERROR(AddOperand(std::move(object), e.get()));
  for (int part = 0; part < 3; ++part) {
    ExpressionPtr operand;
    if (!IsOperator(":") && !IsOperator("]")) {
      HONE_ASSIGN_OR_RETURN(operand, Conditional());
    }
    HONE_RETURN_IF_ERROR(AddOperand(std::move(operand), e.get()));
    if (!TakeOperator(":")) break;
    e->kind = Kind::kSlice;
  }
  if (e->kind == Kind::kItem && e->operands[1] == nullptr) return Unexpected("an index");
  if (e->kind == Kind::kSlice) e->operands.resize(4);
  HONE_RETURN_IF_ERROR(Expect("]"));
  return e;
}

absl::Status Parser::Arguments(Expression* e) {
  for (bool first = true; !TakeOperator(")"); first = false) {
    if (!first) {
      HONE_RETURN_IF_ERROR(Expect(","));
      if (TakeOperator(")")) break;
    }
    if (Peek().kind == Token::Kind::kName && IsOperator("=", 1)) {
      std::string name = tokens_[at_].text;
      at_ += 2;
      HONE_ASSIGN_OR_RETURN(ExpressionPtr value, Conditional());
      e->depth = std::max(e->depth, value->depth + 1);
      e->keywords.emplace_back(std::move(name), std::move(value));
      continue;
    }
    HONE_ASSIGN_OR_RETURN(ExpressionPtr value, Conditional());
    if (!e->keywords.empty())
      return source_.Error(value->offset, "positional argument behind a named one");
    HONE_RETURN_IF_ERROR(AddOperand(std::move(value), e));
  }
  return absl::OkStatus();
}

absl::StatusOr<ExpressionPtr> Parser::Filters(ExpressionPtr e) {
  while (true) {
    if (TakeOperator("|")) {
      HONE_ASSIGN_OR_RETURN(e, Filter(std::move(e)));
    } else if (TakeName("is")) {
      HONE_ASSIGN_OR_RETURN(e, Test(std::move(e)));
    } else {
      return e;
    }
  }
}

absl::StatusOr<ExpressionPtr> Parser::Filter(ExpressionPtr object) {
  ExpressionPtr e = Make(Kind::kFilter, Peek().offset);
  HONE_ASSIGN_OR_RETURN(e->name, ExpectName());
  if (!IsFilter(e->name))
    return source_.Error(e->offset, absl::StrCat("filter \"", e->name, "\" is not supported"));
  HONE_RETURN_IF_ERROR(AddOperand(std::move(object), e.get()));
  if (TakeOperator("(")) HONE_RETURN_IF_ERROR(Arguments(e.get()));
  return e;
}

absl::StatusOr<ExpressionPtr> Parser::Test(ExpressionPtr object) {
  const bool negated = TakeName("not");
  ExpressionPtr e = Make(Kind::kTest, Peek().offset);
  HONE_ASSIGN_OR_RETURN(e->name, ExpectName());
  if (!IsTest(e->name))
    return source_.Error(e->offset, absl::StrCat("test \"", e->name, "\" is not supported"));
  HONE_RETURN_IF_ERROR(AddOperand(std::move(object), e.get()));
  const Token& t = Peek();
  const bool keyword = t.kind == Token::Kind::kName &&
                       (t.text == "else" || t.text == "or" || t.text == "and" || t.text == "if" ||
                        t.text == "is" || t.text == "not" || t.text == "in");
  if (TakeOperator("(")) {
    HONE_RETURN_IF_ERROR(Arguments(e.get()));
  } else if ((t.kind == Token::Kind::kName && !keyword) || t.kind == Token::Kind::kString ||
             t.kind == Token::Kind::kInteger || t.kind == Token::Kind::kFloat || IsOperator("[") ||
             IsOperator("{")) {
    // One argument without brackets: x is divisibleby 3.
    HONE_ASSIGN_OR_RETURN(ExpressionPtr argument, Primary());
    HONE_ASSIGN_OR_RETURN(argument, Postfix(std::move(argument)));
    HONE_RETURN_IF_ERROR(AddOperand(std::move(argument), e.get()));
  }
  if (!negated) return e;
  ExpressionPtr inverse = Make(Kind::kNot, e->offset);
  HONE_RETURN_IF_ERROR(AddOperand(std::move(e), inverse.get()));
  return inverse;
}

}  // namespace hone
