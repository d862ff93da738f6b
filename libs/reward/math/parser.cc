#include "libs/reward/math/parser.h"

#include "absl/types/span.h"
#include "libs/reward/math/parser_class.h"
#include "libs/reward/math/unit.h"

namespace hone::math {

std::optional<Node> Parser::Run() {
  Node node;
  if (!Groups(&node) || At().type != Tok::kEnd) return std::nullopt;
  return node;
}

bool Parser::Take(char op) {
  if (!At().Is(op)) return false;
  ++at_;
  return true;
}

bool Parser::Connective(const Token& t) {
  return t.type == Tok::kWord && (t.text == "and" || t.text == "or");
}

void Parser::FindFunctions() {
  functions_ = {"f", "g"};
  for (size_t i = 0; i + 4 < tokens_.size(); ++i)
    if (tokens_[i].type == Tok::kLetter && tokens_[i + 1].Is('(') &&
        tokens_[i + 2].type == Tok::kLetter && tokens_[i + 3].Is(')') &&
        (tokens_[i + 4].Is('=') || tokens_[i + 4].Is('<') || tokens_[i + 4].Is('>')) &&
        functions_.size() < 8)
      functions_.push_back(tokens_[i].text);
}

bool Parser::Groups(Node* out) {
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

bool Parser::List(Node* out) {
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

bool Parser::Closes(const Token& t) {
  return t.type == Tok::kEnd || t.type == Tok::kEndEnv || t.Is(')') || t.Is(']') || t.Is('}') ||
         t.Is('s') || t.Is(';') || t.Is('N') || t.Is('&') || t.Is('a');
}

bool Parser::IsRelation(const Token& t) {
  return t.type == Tok::kOp &&
         absl::string_view("=<>lgn~ceE").find(t.op) != absl::string_view::npos;
}

bool Parser::Relation(Node* out) {
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

bool Parser::Quantity(Node* out) {
  const Depth depth(this);
  if (!depth.ok()) return false;
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

bool Parser::IsTime(const Node& ratio) {
  for (size_t i = 0; i < ratio.children.size(); ++i) {
    const Node& part = ratio[i];
    if (!IsInteger(part) || part.text.size() > 2 || (i > 0 && part.text.size() != 2)) return false;
  }
  return ratio[0].text.size() <= 2 && ratio[1].text < "60" && std::stoi(ratio[0].text) < 24;
}

bool Parser::IsCurrency(absl::string_view word) {
  return word == "dollar" || word == "euro" || word == "sterling" || word == "yuan" ||
         word == "rs" || word == "Rs";
}

bool Parser::UnitLetter(const Token& t) {
  return t.type == Tok::kLetter && t.wrapped && t.text.size() == 1 &&
         absl::string_view("mgshlLNJWVAKCF").find(t.text) != absl::string_view::npos;
}

bool Parser::Unit(Node value, std::vector<Token> before, Node* out) {
  const bool starts = (At().type == Tok::kWord && !Connective(At())) || UnitLetter(At());
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
    // 2 hours 30 minutes
    if (open == 0 && t.type == Tok::kNumber && !unit.empty() && unit.back().type == Tok::kWord)
      break;
    unit.push_back(t);
  }
  std::optional<Node> node = WithUnit(std::move(value), unit);
  if (!node.has_value()) return false;
  *out = *std::move(node);
  if (At().type != Tok::kNumber) return true;
  Node rest;
  if (!Quantity(&rest) || !out->Is(Kind::kUnit) || !rest.Is(Kind::kUnit) || out->text.empty() ||
      out->text != rest.text)
    return false;
  // In base units.
  out->children[0] = MakeSum(MakeProduct(std::move(out->children[0]), std::move(out->children[1])),
                             MakeProduct(rest[0], rest[1]));
  out->children[1] = MakeNumber(1);
  return true;
}

bool Parser::StartsOperand() {
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

bool Parser::Expression(int power, Node* out) {
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
      // In the argument of a function without parentheses, the next function is a factor of its
      // own.
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

bool Parser::Prefix(int power, Node* out) {
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

std::optional<Node> Parse(Tokens tokens) {
  return Parser(std::move(tokens)).Run();
}

}  // namespace hone::math
