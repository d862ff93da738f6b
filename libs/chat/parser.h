#pragma once

// Turns tokens into statements and expressions. Internal to libs/chat.

#include <initializer_list>
#include <string>
#include <vector>

#include "libs/chat/syntax.h"

namespace hone {

class Parser {
 public:
  Parser(const TemplateSource& source, std::vector<Token> tokens)
      : source_(source), tokens_(std::move(tokens)) {}

  // Statements up to the end of the template.
  absl::StatusOr<Body> Template();

 private:
  // Statements, in parser.cc. A body ends before a block that starts with one of `ends`; *end tells
  // which, and its name has been read.
  absl::StatusOr<Body> ParseBody(std::initializer_list<absl::string_view> ends, std::string* end);
  absl::Status ParseBlock(const std::string& name, size_t offset, Body* body);
  absl::Status ParseIf(Statement* s);
  absl::Status ParseFor(Statement* s);
  absl::Status ParseSet(Statement* s);
  absl::Status ParseMacro(Statement* s);
  absl::StatusOr<Target> ParseTarget(bool attribute_allowed);
  absl::Status CloseBlock();

  // Expressions, in parse_expression.cc, loosest first.
  absl::StatusOr<ExpressionPtr> Conditional();
  absl::StatusOr<ExpressionPtr> Or();
  absl::StatusOr<ExpressionPtr> And();
  absl::StatusOr<ExpressionPtr> Not();
  absl::StatusOr<ExpressionPtr> Comparison();
  absl::StatusOr<ExpressionPtr> Sum();
  absl::StatusOr<ExpressionPtr> Concatenation();
  absl::StatusOr<ExpressionPtr> Product();
  absl::StatusOr<ExpressionPtr> Unary(bool with_filters);
  absl::StatusOr<ExpressionPtr> Primary();
  absl::StatusOr<ExpressionPtr> Postfix(ExpressionPtr e);
  absl::StatusOr<ExpressionPtr> Filters(ExpressionPtr e);
  absl::StatusOr<ExpressionPtr> Filter(ExpressionPtr e);
  absl::StatusOr<ExpressionPtr> Test(ExpressionPtr e);
  absl::StatusOr<ExpressionPtr> Subscript(ExpressionPtr e);
  // Behind "(": arguments up to ")", added to *e.
  absl::Status Arguments(Expression* e);
  // Expressions separated by commas make a list, as tuples do in Python.
  absl::StatusOr<ExpressionPtr> Tuple();
  using Rule = absl::StatusOr<ExpressionPtr> (Parser::*)();
  absl::StatusOr<ExpressionPtr> LeftToRight(Rule operand,
                                            std::initializer_list<absl::string_view> operators);

  const Token& Peek(size_t ahead = 0) const {
    return tokens_[std::min(at_ + ahead, tokens_.size() - 1)];
  }
  bool IsOperator(absl::string_view op, size_t ahead = 0) const {
    return Peek(ahead).kind == Token::Kind::kOperator && Peek(ahead).text == op;
  }
  bool IsName(absl::string_view name, size_t ahead = 0) const {
    return Peek(ahead).kind == Token::Kind::kName && Peek(ahead).text == name;
  }
  bool TakeOperator(absl::string_view op);
  bool TakeName(absl::string_view name);
  absl::Status Expect(absl::string_view op);
  absl::StatusOr<std::string> ExpectName();
  // "expected X, found Y" at the next token.
  absl::Status Unexpected(absl::string_view expected) const;

  static ExpressionPtr Make(Expression::Kind kind, size_t offset, std::string name = "");
  // Adds `operand` (may be null) and keeps `depth`.
  absl::Status AddOperand(ExpressionPtr operand, Expression* e) const;

  // Counts how deep the parser itself has recursed.
  class Descent;

  const TemplateSource& source_;
  std::vector<Token> tokens_;
  size_t at_ = 0;
  int depth_ = 0;
  int loops_ = 0;  // open `for` blocks of this macro: break needs one
};

}  // namespace hone
