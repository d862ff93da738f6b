#include "libs/reward/math/parser.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/types/span.h"
#include "libs/reward/math/unit.h"

namespace hone::math {
namespace {

constexpr int kMaxDepth = 64;

// Binding powers, from loose to tight.
enum Power { kSets = 10, kAdditive = 20, kSign = 25, kMultiplicative = 30, kImplicit = 35, kExponent = 50 };

bool IsInteger(const Node& n) {
  return n.Is(Kind::kNumber) && n.count == 0 && n.text.find('.') == n.text.npos;
}

class Parser {
 public:
  explicit Parser(Tokens tokens) : tokens_(std::move(tokens.list)) {
    FindFunctions();
  }

  std::optional<Node> Run() {
    Node node;
    if (!Groups(&node) || At().type != Tok::kEnd) return std::nullopt;
    return node;
  }

 private:
  class Depth {
   public:
    explicit Depth(Parser* p) : p_(p) { ++p_->depth_; }
    ~Depth() { --p_->depth_; }
    bool ok() const { return p_->depth_ <= kMaxDepth; }

   private:
    Parser* p_;
  };

  Token& At(size_t ahead = 0) { return tokens_[std::min(at_ + ahead, tokens_.size() - 1)]; }
  bool Take(char op) {
    if (!At().Is(op)) return false;
    ++at_;
    return true;
  }
  static bool Connective(const Token& t) {
    return t.type == Tok::kWord && (t.text == "and" || t.text == "or");
  }

  // Names that are applied to letters on the left of an equation: p in "p(x) = ...".
  void FindFunctions() {
    functions_ = {"f", "g"};
    for (size_t i = 0; i + 4 < tokens_.size(); ++i)
      if (tokens_[i].type == Tok::kLetter && tokens_[i + 1].Is('(') &&
          tokens_[i + 2].type == Tok::kLetter && tokens_[i + 3].Is(')') &&
          (tokens_[i + 4].Is('=') || tokens_[i + 4].Is('<') || tokens_[i + 4].Is('>')) &&
          functions_.size() < 8)
        functions_.push_back(tokens_[i].text);
  }

  // a, b; c, d: lists in a list.
  bool Groups(Node* out) {
    std::vector<Node> groups;
    do {
      while (Take(';') || Take('N')) {
      }
      if (At().type == Tok::kEnd && !groups.empty()) break;
      Node& list = groups.emplace_back();
      if (!List(&list)) return false;
    } while (At().Is(';') || At().Is('N'));
    if (groups.size() == 1) {
      *out = std::move(groups[0]);
      return true;
    }
    *out = Node(Kind::kList, ",");
    out->children = std::move(groups);
    return true;
  }

  // a, b and c. One item is no list.
  bool List(Node* out) {
    const Depth depth(this);
    if (!depth.ok()) return false;
    std::vector<Node> items;
    std::string kind = ",";
    for (;;) {
      Node& item = items.emplace_back();
      if (!Relation(&item)) return false;
      bool more = false, comma = false;
      while (At().Is(',') || Connective(At())) {
        if (!At().Is(',')) kind = At().text;
        more = comma = true;
        ++at_;
      }
      // "x = 1, \quad y = 2" has its comma; "(1,2) \quad (3,4)" has none.
      if (!more && At().Is('(') && At().spaced && items.back().Is(Kind::kTuple)) more = true;
      if (!more || (comma && Closes(At()))) break;
    }
    if (items.size() == 1) {
      *out = std::move(items[0]);
      return true;
    }
    *out = Node(Kind::kList, kind);
    out->children = std::move(items);
    return true;
  }

  static bool Closes(const Token& t) {
    return t.type == Tok::kEnd || t.type == Tok::kEndEnv || t.Is(')') || t.Is(']') || t.Is('}') ||
           t.Is('s') || t.Is(';') || t.Is('N') || t.Is('&') || t.Is('a');
  }

  static bool IsRelation(const Token& t) {
    return t.type == Tok::kOp &&
           absl::string_view("=<>lgn~ceE").find(t.op) != absl::string_view::npos;
  }

  bool Relation(Node* out) {
    Node first;
    if (!Quantity(&first)) return false;
    if (!IsRelation(At())) {
      *out = std::move(first);
      return true;
    }
    *out = Node(Kind::kRelation);
    out->children.push_back(std::move(first));
    while (IsRelation(At())) {
      out->text += At().op;
      ++at_;
      if (!Quantity(&out->children.emplace_back())) return false;
    }
    return true;
  }

  // a ratio with its unit
  bool Quantity(Node* out) {
    if (At().type == Tok::kWord && !Connective(At()) && IsCurrency(At().text)) {
      const std::vector<Token> currency = {At()};
      ++at_;
      Node value;
      if (!Expression(kSets, &value)) return false;
      return Unit(std::move(value), currency, out);
    }
    Node value;
    if (!Expression(kSets, &value)) return false;
    if (!in_builder_ && At().Is(':')) {
      Node ratio(Kind::kRatio);
      ratio.children.push_back(std::move(value));
      while (Take(':'))
        if (!Expression(kSets, &ratio.children.emplace_back())) return false;
      value = std::move(ratio);
      // 3:05 is a time, 3:5 a ratio.
      if (IsTime(value)) value.kind = Kind::kTime;
    }
    return Unit(std::move(value), {}, out);
  }

  static bool IsTime(const Node& ratio) {
    for (size_t i = 0; i < ratio.children.size(); ++i) {
      const Node& part = ratio[i];
      if (!IsInteger(part) || part.text.size() > 2 || (i > 0 && part.text.size() != 2)) return false;
    }
    return ratio[0].text.size() <= 2 && ratio[1].text < "60" && std::stoi(ratio[0].text) < 24;
  }

  static bool IsCurrency(absl::string_view word) {
    return word == "dollar" || word == "euro" || word == "sterling" || word == "yuan" ||
           word == "rs" || word == "Rs";
  }

  // "m" of 5\text{ m}; "5m" is a product.
  static bool UnitLetter(const Token& t) {
    return t.type == Tok::kLetter && t.wrapped && t.text.size() == 1 &&
           absl::string_view("mgshlLNJWVAKCF").find(t.text) != absl::string_view::npos;
  }

  // `value` and the unit that follows it, if one does; `before`: what stood before the number.
  bool Unit(Node value, std::vector<Token> before, Node* out) {
    const bool starts =
        (At().type == Tok::kWord && !Connective(At())) ||
        UnitLetter(At());
    if (!starts && before.empty()) {
      *out = std::move(value);
      return true;
    }
    std::vector<Token> unit = std::move(before);
    for (int open = 0; starts && At().type != Tok::kEnd; ++at_) {
      const Token& t = At();
      if (open == 0 && (Closes(t) || IsRelation(t) || Connective(t) || t.Is('|') || t.Is(','))) break;
      if (t.Is('{') || t.Is('(')) ++open;
      if (t.Is('}') || t.Is(')')) --open;
      unit.push_back(t);
    }
    std::optional<Node> node = WithUnit(std::move(value), unit);
    if (!node.has_value()) return false;
    *out = *std::move(node);
    return true;
  }
  // Whether an operand may begin here, so that a product needs no sign.
  bool StartsOperand() {
    const Token& t = At();
    switch (t.type) {
      case Tok::kNumber:
      case Tok::kBase:
      case Tok::kConstant:
      case Tok::kFunction:
      case Tok::kBegin:
        return true;
      case Tok::kLetter:
        return !UnitLetter(t);
      case Tok::kOp:
        return t.Is('(') || t.Is('[') || t.Is('{') || t.Is('F') || t.Is('B') || t.Is('R') ||
               t.Is('L') || t.Is('C') || t.Is('A') || (t.Is('|') && bars_ == 0 && !in_builder_);
      default:
        return false;
    }
  }

  bool Expression(int power, Node* out) {
    const Depth depth(this);
    if (!depth.ok()) return false;
    Node left;
    if (!Prefix(power, &left)) return false;
    for (;;) {
      const Token& t = At();
      if (power <= kSets && (t.Is('U') || t.Is('I') || t.Is('\\'))) {
        const Kind kind = t.Is('U')   ? Kind::kUnion
                          : t.Is('I') ? Kind::kIntersection
                                      : Kind::kDifference;
        ++at_;
        Node right;
        if (!Expression(kSets + 1, &right)) return false;
        if (!left.Is(kind) || kind == Kind::kDifference) {
          // Chains of differences would nest; nobody writes long ones.
          if (++differences_ > 16) return false;
          Node parent(kind);
          parent.children.push_back(std::move(left));
          left = std::move(parent);
        }
        left.children.push_back(std::move(right));
      } else if (power <= kAdditive && (t.Is('+') || t.Is('-') || t.Is('p') || t.Is('m'))) {
        const char op = t.op;
        ++at_;
        Node right;
        if (!Expression(kAdditive + 1, &right)) return false;
        if (op == '+') {
          left = MakeSum(std::move(left), std::move(right));
        } else if (op == '-') {
          left = MakeSum(std::move(left), MakeNegate(std::move(right)));
        } else {
          Node pm(Kind::kPlusMinus, op == 'p' ? "+" : "-");
          pm.children.push_back(std::move(right));
          left = MakeSum(std::move(left), std::move(pm));
        }
      } else if (power <= kMultiplicative && (t.Is('*') || t.Is('/'))) {
        const bool divide = t.Is('/');
        ++at_;
        // 1/2x is x/2, as programs read it. A factor may have a sign of its own.
        Node right;
        if (!Expression(kExponent, &right)) return false;
        left = divide ? MakeQuotient(std::move(left), std::move(right))
                      : MakeProduct(std::move(left), std::move(right));
      } else if (power <= kMultiplicative && t.Is('M')) {
        ++at_;
        Node call(Kind::kCall, "mod");
        call.children.push_back(std::move(left));
        if (!Expression(kMultiplicative + 1, &call.children.emplace_back())) return false;
        left = std::move(call);
        if (++differences_ > 16) return false;
      } else if (power <= kImplicit && StartsOperand()) {
        // In the argument of a function without parentheses, the next function is a factor of its own.
        if (power == kImplicit && t.type == Tok::kFunction) break;
        if (t.type == Tok::kNumber && after_number_) return false;
        if (left.Is(Kind::kTuple) && t.Is('(')) break;
        Node right;
        if (!Expression(kExponent, &right)) return false;
        left = MakeProduct(std::move(left), std::move(right));
      } else {
        break;
      }
    }
    *out = std::move(left);
    return true;
  }

  bool Prefix(int power, Node* out) {
    if (Take('+')) return Expression(std::max<int>(kSign, power), out);
    if (Take('-')) {
      Node operand;
      if (At().type == Tok::kWord && IsCurrency(At().text)) {  // -$5
        if (!Quantity(&operand)) return false;
      } else if (!Expression(std::max<int>(kSign, power), &operand)) {
        return false;
      }
      *out = MakeNegate(std::move(operand));
      return true;
    }
    if (At().Is('p') || At().Is('m')) {
      *out = Node(Kind::kPlusMinus, At().Is('p') ? "+" : "-");
      ++at_;
      return Expression(std::max<int>(kSign, power), &out->children.emplace_back());
    }
    return Postfix(out);
  }

  // An operand with what follows it: powers, factorials, degrees, percent signs.
  bool Postfix(Node* out) {
    const bool mixed = Mixed(out);
    if (!mixed && !Operand(out)) return false;
    after_number_ = at_ > 0 && tokens_[at_ - 1].type == Tok::kNumber;
    for (int n = 0;; ++n) {
      if (n > 8) return false;
      if (At().Is('^')) {
        ++at_;
        Node power(Kind::kPower);
        power.children.push_back(std::move(*out));
        if (!ExponentOf(&power.children.emplace_back())) return false;
        *out = std::move(power);
      } else if (At().Is('!')) {
        ++at_;
        Wrap(Kind::kCall, "factorial", out);
      } else if (At().Is('%')) {
        ++at_;
        Wrap(Kind::kPercent, "", out);
      } else if (At().Is('d')) {
        ++at_;
        Wrap(Kind::kDegree, "", out);
        // 25 °C
        if (At().type == Tok::kLetter && (At().text == "C" || At().text == "F")) ++at_;
      } else if (At().Is('_') && IsInteger(*out)) {
        ++at_;
        if (!Base(out)) return false;
      } else {
        after_number_ &= n == 0;
        return true;
      }
    }
  }

  static void Wrap(Kind kind, absl::string_view text, Node* node) {
    Node outer(kind, text);
    outer.children.push_back(std::move(*node));
    *node = std::move(outer);
  }

  // 2^10, 2^{10}, 2^-1, 2^(1/2), 2^\frac12, x^2y
  bool ExponentOf(Node* out) {
    const Depth depth(this);
    if (!depth.ok()) return false;
    if (Take('-')) {
      Node operand;
      if (!ExponentOf(&operand)) return false;
      *out = MakeNegate(std::move(operand));
      return true;
    }
    Take('+');
    if (!Operand(out)) return false;
    if (At().Is('^')) {  // 2^3^2
      ++at_;
      Node power(Kind::kPower);
      power.children.push_back(std::move(*out));
      if (!ExponentOf(&power.children.emplace_back())) return false;
      *out = std::move(power);
    }
    return true;
  }

  bool Base(Node* out) {
    const bool brace = Take('{');
    int base = 0;
    if (At().type == Tok::kNumber && At().text.size() <= 2 && At().text.find('.') == std::string::npos) {
      base = std::stoi(At().text);
    } else if (At().type == Tok::kWord) {
      constexpr absl::string_view kNames[] = {"two",   "three", "four", "five", "six",
                                              "seven", "eight", "nine", "ten"};
      for (int i = 0; i < 9; ++i)
        if (absl::AsciiStrToLower(At().text) == kNames[i]) base = i + 2;
    }
    if (base < 2 || base > 36) return false;
    ++at_;
    if (brace && !Take('}')) return false;
    *out = Node(Kind::kBase, CanonicalDigits(out->text));
    out->count = base;
    return true;
  }

  // 2\frac{1}{2}, 2 1/2: a sum. Nothing is taken if it is none.
  bool Mixed(Node* out) {
    if (At().type != Tok::kNumber || At().text.find('.') != std::string::npos) return false;
    const size_t begin = at_;
    const Node whole(Kind::kNumber, At().text);
    Node a, b;
    if (At(1).Is('F')) {
      const std::vector<Token> saved(tokens_.begin() + begin,
                                     tokens_.begin() + std::min(tokens_.size(), begin + 12));
      at_ += 2;
      if (Argument(&a) && Argument(&b) && Proper(a, b)) {
        *out = MakeSum(whole, MakeQuotient(std::move(a), std::move(b)));
        return true;
      }
      std::copy(saved.begin(), saved.end(), tokens_.begin() + begin);
    } else if (At(1).type == Tok::kNumber && At(1).spaced && At(2).Is('/') &&
               At(3).type == Tok::kNumber) {
      a = Node(Kind::kNumber, At(1).text);
      b = Node(Kind::kNumber, At(3).text);
      if (Proper(a, b)) {
        at_ += 4;
        *out = MakeSum(whole, MakeQuotient(std::move(a), std::move(b)));
        return true;
      }
    }
    at_ = begin;
    return false;
  }

  static bool Proper(const Node& a, const Node& b) {
    if (!IsInteger(a) || !IsInteger(b)) return false;
    const std::string x = CanonicalDigits(a.text), y = CanonicalDigits(b.text);
    return x.size() < y.size() || (x.size() == y.size() && x < y);
  }

  // The argument of \frac: a group, one digit, or one operand.
  bool Argument(Node* out) {
    Token& t = At();
    if (t.type == Tok::kNumber && t.text.size() > 1 && absl::ascii_isdigit(t.text[0]) &&
        t.text.find('.') == std::string::npos) {
      *out = Node(Kind::kNumber, t.text.substr(0, 1));
      t.text.erase(0, 1);
      return true;
    }
    return Operand(out);
  }

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

bool Parser::Operand(Node* out) {
  const Depth depth(this);
  if (!depth.ok()) return false;
  const Token t = At();
  switch (t.type) {
    case Tok::kNumber:
      ++at_;
      *out = Node(Kind::kNumber, t.text);
      out->count = t.count;
      return true;
    case Tok::kBase:
      ++at_;
      *out = Node(Kind::kBase, t.text);
      out->count = t.count;
      return true;
    case Tok::kConstant:
      ++at_;
      if (At().Is('_')) {  // e_1 is a variable
        *out = Node(Kind::kSymbol, t.text);
        return Subscript(&out->text);
      }
      *out = Node(Kind::kConstant, t.text);
      return true;
    case Tok::kFunction:
      return Function(out);
    case Tok::kLetter:
      return Letter(out);
    case Tok::kWord:
      return Words(out);
    case Tok::kBegin:
      return Matrix(out);
    case Tok::kOp:
      break;
    default:
      return false;
  }
  ++at_;
  switch (t.op) {
    case '(':
    case '[':
    case '{':
    case 'A':
      --at_;
      return Brackets(out);
    case 'S':
      return Set(out);
    case '|':
      return Bars(out);
    case 'L':
      return Between('J', "floor", out);
    case 'C':
      return Between('D', "ceil", out);
    case 'R':
      return Root(out);
    case 'F': {
      Node a, b;
      if (!Argument(&a) || !Argument(&b)) return false;
      *out = MakeQuotient(std::move(a), std::move(b));
      return true;
    }
    case 'B':
      *out = Node(Kind::kCall, "binomial");
      return Argument(&out->children.emplace_back()) && Argument(&out->children.emplace_back());
    case 'o':
      *out = Node(Kind::kSymbol, "...");
      return true;
    default:
      return false;
  }
}

// (a), (a, b), [a, b), {a}, \langle a, b \rangle
bool Parser::Brackets(Node* out) {
  const char open = At().op;
  ++at_;
  const int bars = std::exchange(bars_, 0);
  const bool builder = std::exchange(in_builder_, false);
  Node inside;
  if (!List(&inside)) return false;
  bars_ = bars;
  in_builder_ = builder;
  const char close = At().op;
  if (open == '{') {
    if (!Take('}')) return false;
    *out = std::move(inside);
    return true;
  }
  if (open == 'A') {
    if (!Take('a')) return false;
  } else if (!Take(')') && !Take(']')) {
    return false;
  }
  if (!inside.Is(Kind::kList)) {
    *out = std::move(inside);
    return true;
  }
  *out = Node(Kind::kTuple);
  out->open = open == 'A' ? '<' : open;
  out->close = open == 'A' ? '>' : close;
  out->children = std::move(inside.children);
  return true;
}

bool Parser::Set(Node* out) {
  *out = Node(Kind::kSet);
  if (Take('s')) return true;
  const int bars = std::exchange(bars_, 0);
  const bool builder = std::exchange(in_builder_, true);
  Node inside;
  if (!List(&inside)) return false;
  in_builder_ = builder;
  if (Take('|') || Take(':')) {
    *out = Node(Kind::kBuilder);
    out->children.push_back(std::move(inside));
    if (!List(&out->children.emplace_back())) return false;
  } else if (inside.Is(Kind::kList)) {
    out->children = std::move(inside.children);
  } else {
    out->children.push_back(std::move(inside));
  }
  bars_ = bars;
  return Take('s');
}

bool Parser::Bars(Node* out) {
  ++bars_;
  const bool builder = std::exchange(in_builder_, false);
  *out = Node(Kind::kCall, "abs");
  if (!Expression(kAdditive, &out->children.emplace_back())) return false;
  in_builder_ = builder;
  --bars_;
  return Take('|');
}

bool Parser::Between(char close, absl::string_view function, Node* out) {
  *out = Node(Kind::kCall, function);
  return Expression(kAdditive, &out->children.emplace_back()) && Take(close);
}

bool Parser::Root(Node* out) {
  *out = Node(Kind::kCall, "sqrt");
  Node index;
  bool has_index = false;
  if (Take('[')) {
    if (!Expression(kAdditive, &index) || !Take(']')) return false;
    has_index = true;
  }
  if (!Operand(&out->children.emplace_back())) return false;
  if (has_index) out->children.push_back(std::move(index));
  return true;
}

bool Parser::Function(Node* out) {
  const std::string name = At().text;
  ++at_;
  Node exponent, base;
  bool has_exponent = false, has_base = false;
  for (int i = 0; i < 2; ++i) {
    if (!has_exponent && Take('^')) {
      has_exponent = true;
      if (!ExponentOf(&exponent)) return false;
    } else if (!has_base && Take('_')) {
      has_base = true;
      if (!Operand(&base)) return false;
    }
  }
  *out = Node(Kind::kCall, name);
  const bool brackets = At().Is('(') || At().Is('{') || At().Is('|') || At().Is('[');
  Node argument;
  if (brackets ? !Operand(&argument) : !Expression(kImplicit, &argument)) return false;
  if (argument.Is(Kind::kTuple) || argument.Is(Kind::kList))
    out->children = std::move(argument.children);
  else
    out->children.push_back(std::move(argument));
  if (has_base) {
    if (name != "log") return false;
    out->children.push_back(std::move(base));
  }
  if (name == "cbrt") {
    out->text = "sqrt";
    out->children.push_back(MakeNumber(3));
  }
  if (!has_exponent) return true;
  const bool inverse = exponent.Is(Kind::kNegate) && IsInteger(exponent[0]) && exponent[0].text == "1";
  if (inverse && out->children.size() == 1 &&
      (name == "sin" || name == "cos" || name == "tan" || name == "cot" || name == "sec" ||
       name == "csc")) {
    out->text = absl::StrCat("arc", name);
    return true;
  }
  Node power(Kind::kPower);
  power.children.push_back(std::move(*out));
  power.children.push_back(std::move(exponent));
  *out = std::move(power);
  return true;
}

// _1, _{max}, _{n+1}: part of the name.
bool Parser::Subscript(std::string* name) {
  if (!Take('_')) return true;
  *name += '_';
  if (!At().Is('{')) {
    if (At().type == Tok::kEnd || At().type == Tok::kOp) return false;
    *name += At().text;
    ++at_;
    return true;
  }
  int depth = 0;
  do {
    const Token& t = At();
    if (t.type == Tok::kEnd) return false;
    if (t.Is('{'))
      ++depth;
    else if (t.Is('}'))
      --depth;
    else if (t.type == Tok::kOp)
      *name += t.op;
    else
      *name += t.text;
    ++at_;
  } while (depth > 0);
  return true;
}

bool Parser::Letter(Node* out) {
  *out = Node(Kind::kSymbol, At().text);
  ++at_;
  if (!Subscript(&out->text)) return false;
  bool primed = false;
  while (Take('\'')) {
    out->text += '\'';
    primed = true;
  }
  if (At().Is('^') && At(1).Is('{') && At(2).Is('\'') && At(3).Is('}')) {
    at_ += 4;
    out->text += '\'';
    primed = true;
  }
  const bool function =
      primed || std::find(functions_.begin(), functions_.end(), out->text) != functions_.end();
  if (!function || !At().Is('(')) return true;
  Node arguments;
  if (!Brackets(&arguments)) return false;
  out->kind = Kind::kApply;
  if (arguments.Is(Kind::kTuple))
    out->children = std::move(arguments.children);
  else
    out->children.push_back(std::move(arguments));
  return true;
}

bool Parser::Matrix(Node* out) {
  const std::string environment = At().text;
  ++at_;
  *out = Node(Kind::kMatrix);
  if (environment == "vmatrix" || environment == "Vmatrix")
    out->text = "v";
  else if (environment == "cases")
    out->text = "cases";
  else if (environment.find("matrix") == environment.npos && environment != "array")
    return false;
  const bool builder = std::exchange(in_builder_, false);
  const int bars = std::exchange(bars_, 0);
  int columns = 0, column = 0;
  while (At().type != Tok::kEndEnv) {
    const size_t begin = at_;
    Node cell;
    if (!List(&cell)) {
      // The conditions of cases are often prose.
      if (out->text != "cases") return false;
      at_ = begin;
      cell = Node(Kind::kText);
      while (!At().Is('&') && !At().Is('N') && At().type != Tok::kEndEnv &&
             At().type != Tok::kEnd) {
        if (At().type == Tok::kOp)
          cell.text += At().op;
        else
          cell.text += absl::AsciiStrToLower(At().text);
        ++at_;
      }
    }
    out->children.push_back(std::move(cell));
    ++column;
    if (Take('&')) continue;
    // The end of a row; rows of different lengths are no matrix.
    if (columns == 0) columns = column;
    if (column != columns) return false;
    column = 0;
    while (Take('N')) {
    }
    if (At().type == Tok::kEnd) return false;
  }
  ++at_;
  in_builder_ = builder;
  bars_ = bars;
  out->count = columns;
  return columns > 0;
}

// Words where an operand is due: the name of a quantity ("Area = 5"), or an answer in a list.
bool Parser::Words(Node* out) {
  if (Connective(At())) return false;
  *out = Node(Kind::kSymbol);
  while (At().type == Tok::kWord && !Connective(At())) {
    if (!out->text.empty()) out->text += ' ';
    out->text += absl::AsciiStrToLower(At().text);
    ++at_;
  }
  return true;
}

// Whether there is nothing but words and punctuation.
bool IsProse(const Tokens& tokens) {
  int words = 0, letters = 0;
  for (const Token& t : tokens.list) {
    if (t.type == Tok::kWord)
      words += t.text != "and" && t.text != "or";
    else if (t.type == Tok::kLetter || t.type == Tok::kConstant)
      letters += t.wrapped ? 0 : 1;
    else if (t.type == Tok::kOp ? absl::string_view("-,.':;!|{}()/").find(t.op) == absl::string_view::npos
                                : t.type != Tok::kEnd)
      return false;
  }
  return words > 0 && (letters == 0 || words >= 2);
}

long NumberWord(absl::string_view word) {
  constexpr absl::string_view kWords[] = {
      "zero",    "one",     "two",       "three",    "four",     "five",    "six",
      "seven",   "eight",   "nine",      "ten",      "eleven",   "twelve",  "thirteen",
      "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty"};
  for (size_t i = 0; i < std::size(kWords); ++i)
    if (word == kWords[i]) return static_cast<long>(i);
  return -1;
}

// The only formula in $...$, \(...\) or \[...\] that stands in prose; empty if there is none or
// more than one.
absl::string_view OnlyFormula(absl::string_view text) {
  absl::string_view found;
  for (size_t at = 0; at < text.size();) {
    absl::string_view rest = text.substr(at), close;
    size_t open = 2;
    if (absl::ConsumePrefix(&rest, "$$")) {
      close = "$$";
    } else if (absl::ConsumePrefix(&rest, "$")) {
      close = "$";
      open = 1;
    } else if (absl::ConsumePrefix(&rest, "\\(")) {
      close = "\\)";
    } else if (absl::ConsumePrefix(&rest, "\\[")) {
      close = "\\]";
    } else {
      at += text[at] == '\\' ? 2 : 1;
      continue;
    }
    const size_t end = text.find(close, at + open);
    if (end == text.npos || !found.empty()) return "";
    found = text.substr(at + open, end - at - open);
    at = end + close.size();
  }
  return found.size() < text.size() ? found : "";
}

// "(C) because ...", "C. 42", "C: yes".
char LeadingChoice(absl::string_view text) {
  for (absl::string_view wrapper : {"\\textbf{", "\\text{", "\\mathrm{", "\\mathbf{", "$"})
    while (absl::ConsumePrefix(&text, wrapper)) {
    }
  text = absl::StripLeadingAsciiWhitespace(text);
  const bool open = absl::ConsumePrefix(&text, "(");
  if (text.size() < 3 || text[0] < 'A' || text[0] > 'J') return 0;
  const char close = text[1];
  if (open ? close != ')' : (close != '.' && close != ')' && close != ':')) return 0;
  return text[0];
}

}  // namespace

std::optional<Node> Parse(Tokens tokens) {
  return Parser(std::move(tokens)).Run();
}

Answer ParseAnswer(absl::string_view text) {
  Answer answer;
  Tokens tokens = Tokenize(text, /*thousands=*/true);
  answer.spelling = Spelling(tokens);
  answer.choice = LeadingChoice(absl::StripAsciiWhitespace(text));
  if (tokens.list.size() == 1) return answer;
  const bool ambiguous = tokens.ambiguous_commas, prose = IsProse(tokens);
  if (prose && tokens.list.size() == 2)
    if (const long n = NumberWord(absl::AsciiStrToLower(tokens.list[0].text)); n >= 0) {
      answer.form = Answer::kParsed;
      answer.node = MakeNumber(n);
      return answer;
    }
  std::optional<Node> node = Parse(std::move(tokens));
  if (prose && (!node.has_value() || !node->Is(Kind::kList))) {
    answer.form = Answer::kText;
    answer.node = Node(Kind::kText, answer.spelling);
    return answer;
  }
  if (!node.has_value())
    if (const absl::string_view formula = OnlyFormula(text); !formula.empty())
      node = Parse(Tokenize(formula, true));
  if (!node.has_value()) {
    answer.form = Answer::kUnparsed;
    return answer;
  }
  answer.form = Answer::kParsed;
  answer.node = *std::move(node);
  if (ambiguous) answer.list = Parse(Tokenize(text, /*thousands=*/false));
  return answer;
}

}  // namespace hone::math
