#pragma once

// Private to parser*.cc.

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "libs/reward/math/lexer.h"
#include "libs/reward/math/node.h"

namespace hone::math {

// Binding powers, from loose to tight.
enum Power {
  kSets = 10,
  kAdditive = 20,
  kSign = 25,
  kMultiplicative = 30,
  kImplicit = 35,
  kExponent = 50,
};

// Recursive descent for structures, Pratt's method for expressions. Methods that return bool take
// what they are named after and are false where it is not there.
class Parser {
 public:
  explicit Parser(Tokens tokens) : tokens_(std::move(tokens.list)) { FindFunctions(); }

  std::optional<Node> Run();

 private:
  static constexpr int kMaxDepth = 64;

  class Depth {
   public:
    explicit Depth(Parser* p) : p_(p) { ++p_->depth_; }
    ~Depth() { --p_->depth_; }
    bool ok() const { return p_->depth_ <= kMaxDepth; }

   private:
    Parser* p_;
  };

  Token& At(size_t ahead = 0) { return tokens_[std::min(at_ + ahead, tokens_.size() - 1)]; }
  bool Take(char op);
  static bool Connective(const Token& t);

  // Names that are applied to letters on the left of an equation: p in "p(x) = ...".
  void FindFunctions();

  // a, b; c, d: lists in a list.
  bool Groups(Node* out);

  // a, b and c. One item is no list.
  bool List(Node* out);

  static bool Closes(const Token& t);

  static bool IsRelation(const Token& t);

  bool Relation(Node* out);

  // a ratio with its unit
  bool Quantity(Node* out);

  static bool IsTime(const Node& ratio);

  static bool IsCurrency(absl::string_view word);

  // "m" of 5\text{ m}; "5m" is a product.
  static bool UnitLetter(const Token& t);

  // `value` and the unit that follows it, if one does; `before`: what stood before the number.
  bool Unit(Node value, std::vector<Token> before, Node* out);
  // Whether an operand may begin here, so that a product needs no sign.
  bool StartsOperand();

  bool Expression(int power, Node* out);

  bool Prefix(int power, Node* out);

  // An operand with what follows it: powers, factorials, degrees, percent signs.
  bool Postfix(Node* out);

  static void Wrap(Kind kind, absl::string_view text, Node* node);

  // 2^10, 2^{10}, 2^-1, 2^(1/2), 2^\frac12, x^2y
  bool ExponentOf(Node* out);

  bool Base(Node* out);

  // 2\frac{1}{2}, 2 1/2: a sum. Nothing is taken if it is none.
  bool Mixed(Node* out);

  static bool Proper(const Node& a, const Node& b);

  // The argument of \frac: a group, one digit, or one operand.
  bool Argument(Node* out);

  bool Operand(Node* out);
  bool Brackets(Node* out);
  bool Set(Node* out);
  bool Bars(Node* out);
  bool Between(char close, absl::string_view function, Node* out);
  bool Root(Node* out);
  bool Function(Node* out);
  bool Letter(Node* out);
  bool Matrix(Node* out);
  bool Words(Node* out);
  bool Subscript(std::string* name);

  std::vector<Token> tokens_;
  size_t at_ = 0;
  int depth_ = 0;
  int bars_ = 0;               // |...| that are open
  int differences_ = 0;        // nodes that nest to the left
  bool in_builder_ = false;    // before the bar of {x | ...}: neither bar nor colon is an operator
  bool after_number_ = false;  // the last operand ended in a number
  std::vector<std::string> functions_;
};

inline bool IsInteger(const Node& n) {
  return n.Is(Kind::kNumber) && n.count == 0 && n.text.find('.') == n.text.npos;
}

}  // namespace hone::math
