#pragma once

// What an answer says, typed: the result of parsing and the input of comparing.

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace hone::math {

enum class Kind : uint8_t {
  // Expressions.
  kNumber,     // text: digits with at most one '.'; count: how many of the last ones repeat
  kSymbol,     // text: "x", "x_1", "\alpha", "area"
  kConstant,   // text: "pi", "e", "i", "infinity"
  kSum,        // of 2 or more
  kProduct,    // of 2 or more
  kNegate,     // of 1
  kInverse,    // of 1: 1/x. A quotient is a product with an inverse, which keeps chains flat
  kPower,      // base, exponent
  kCall,       // text: a known function ("sqrt", "sin", "log", "factorial"); arguments
  kApply,      // text: the name of an unknown function ("f", "f'"); arguments
  kPlusMinus,  // text "+" for \pm, "-" for \mp; 1 (prefix) or 2 operands
  // Quantities.
  kPercent,  // of 1
  kDegree,   // of 1
  kUnit,     // value, factor to the base unit, words (kText); text: dimension, empty if unknown
  // Structures.
  kText,          // text: lower-case words
  kList,          // in no order; text: "," or "and" or "or"
  kTuple,         // open, close: '(' '[' or '<'; 2 of them may as well be an interval
  kSet,           // {a, b}
  kBuilder,       // {x | condition}
  kUnion,         // of 2 or more
  kIntersection,  // of 2 or more
  kDifference,    // of 2
  kMatrix,        // row by row; count: columns; text: "" or "v" (determinant) or "cases"
  kRelation,      // operands; text: one of = < > l(<=) g(>=) n(!=) ~ c(congruent) e(in) E per gap
  kRatio,         // a : b : c
  kTime,          // hours, minutes, ...; text: "am", "pm" or ""
  kBase,          // text: digits; count: the base
};

// Depth is bounded by the parser, so that recursion over nodes is safe.
struct Node {
  Kind kind = Kind::kText;
  char open = 0, close = 0;
  int count = 0;
  std::string text;
  std::vector<Node> children;

  Node() = default;
  explicit Node(Kind k, absl::string_view t = "") : kind(k), text(t) {}
  Node(Kind k, std::vector<Node> c) : kind(k), children(std::move(c)) {}

  bool Is(Kind k) const { return kind == k; }
  const Node& operator[](size_t i) const { return children[i]; }
};

// Same tree, spelling of numbers ("2.0", "02") apart.
bool Identical(const Node& a, const Node& b);

// The building blocks of parsers: sums and products are flat.
Node MakeNumber(long value);
Node MakeSum(Node a, Node b);
Node MakeProduct(Node a, Node b);
Node MakeNegate(Node a);
Node MakeQuotient(Node a, Node b);

// The names of the symbols in `node`, sorted, each once.
std::vector<std::string> Symbols(const Node& node);

// Whether any node below or at `node` is of kind `kind`.
bool Contains(const Node& node, Kind kind);

// `node` without what makes numbers hard to read: "007.50" is "7.5".
std::string CanonicalDigits(absl::string_view digits);

// A value for `name` that depends on nothing else, in [0, 2^64).
uint64_t HashOfName(const std::string& name, uint64_t seed);

}  // namespace hone::math
