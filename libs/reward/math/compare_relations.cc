// Equations, inequalities and memberships.

#include <algorithm>

#include "libs/reward/math/ball.h"
#include "libs/reward/math/comparator.h"

namespace hone::math {
namespace {

// What stands for a quantity: x, x_1, f(x), AB, V_1:V_2, (p, q), "area".
bool IsName(const Node& n) {
  switch (n.kind) {
    case Kind::kSymbol:
      return n.text != "...";
    case Kind::kConstant:
      return n.text == "e" || n.text == "i";
    case Kind::kApply:
      return true;
    case Kind::kProduct:
    case Kind::kRatio:
    case Kind::kTuple:
    case Kind::kList:
      return std::all_of(n.children.begin(), n.children.end(), IsName);
    case Kind::kCall:
      return (n.text == "overline" || n.text == "abs") && IsName(n[0]);
    default:
      return false;
  }
}

bool OccursIn(const Node& name, const Node& n) {
  if (Identical(name, n)) return true;
  return std::any_of(n.children.begin(), n.children.end(),
                     [&](const Node& child) { return OccursIn(name, child); });
}

char Mirrored(char op) {
  switch (op) {
    case '<':
      return '>';
    case '>':
      return '<';
    case 'l':
      return 'g';
    case 'g':
      return 'l';
    default:
      return op;
  }
}

Node Substituted(const Node& n, const Node& symbol, const Node& by) {
  if (Identical(n, symbol)) return by;
  Node copy = n;
  for (Node& child : copy.children) child = Substituted(child, symbol, by);
  return copy;
}

// The value of a chain of numbers, 1 + 1 = 2.
const Node* LastOfChain(const Node& n) {
  if (!n.Is(Kind::kRelation) || n.text.find_first_not_of('=') != n.text.npos) return nullptr;
  for (const Node& child : n.children)
    if (!Symbols(child).empty()) return nullptr;
  return &n.children.back();
}

}  // namespace

Node Simplified(const Node& n) {
  if (!n.Is(Kind::kRelation)) return n;
  Node out = n;
  if (const size_t at = out.text.find('~'); at != out.text.npos) {
    if (at == 0 && IsName(out[0])) {
      out.text[0] = '=';  // x \approx 3.14
      if (const size_t next = out.text.find('~'); next != out.text.npos) {
        out.text.resize(next);
        out.children.resize(next + 1);
      }
    } else {
      out.text.resize(at);
      out.children.resize(at + 1);
    }
    if (out.text.empty()) {
      Node first = std::move(out.children[0]);
      return first;
    }
  }
  // 5 = x, 2 \in S stay as they are but for equations and bounds.
  if (out.text.size() == 1 && !IsName(out[0]) && IsName(out[1]) && out.text[0] != 'e' &&
      out.text[0] != 'E') {
    std::swap(out.children[0], out.children[1]);
    out.text[0] = Mirrored(out.text[0]);
  }
  return out;
}

std::optional<Assignment> AsAssignment(const Node& n) {
  if (!n.Is(Kind::kRelation) || n.text.find_first_not_of('=') != n.text.npos) return std::nullopt;
  const Node& name = n.children.front();
  const Node& value = n.children.back();
  if (!IsName(name) || OccursIn(name, value)) return std::nullopt;
  return Assignment{name, value};
}

Match Comparator::Relations(const Node& original_p, const Node& original_g) {
  const Node p = Simplified(original_p), g = Simplified(original_g);
  if (Identical(p, g)) return Match::kExact;
  if (!p.Is(Kind::kRelation) && !g.Is(Kind::kRelation)) return Different(p, g);
  const std::optional<Assignment> a = AsAssignment(p), b = AsAssignment(g);
  if (a.has_value() && b.has_value()) {
    if (Identical(a->name, b->name)) return Nodes(a->value, b->value);
    // f(x) = x + 1 and f(t) = t + 1
    if (a->name.Is(Kind::kApply) && b->name.Is(Kind::kApply) && a->name.text == b->name.text &&
        a->name.children.size() == 1 && b->name.children.size() == 1 &&
        a->name[0].Is(Kind::kSymbol) && b->name[0].Is(Kind::kSymbol) &&
        !OccursIn(b->name[0], a->value))
      return Nodes(Substituted(a->value, a->name[0], b->name[0]), b->value);
    return Equations(p, g);
  }
  if (!p.Is(Kind::kRelation)) {
    if (b.has_value()) return Nodes(p, b->value);
    if (g.text == "e") return Nodes(p, g[1]);
    if (const Node* last = LastOfChain(g); last != nullptr) return Nodes(p, *last);
    return Sets(p, g);
  }
  if (!g.Is(Kind::kRelation)) {
    if (a.has_value()) return Nodes(a->value, g);
    if (p.text == "e") return Nodes(p[1], g);
    if (const Node* last = LastOfChain(p); last != nullptr && !IsListLike(g)) {
      const Match consistent = Nodes(p.children.front(), *last);
      return Equal(consistent) ? Nodes(*last, g) : consistent;
    }
    return Sets(p, g);
  }
  // Two relations.
  if (const Match m = Pairwise(p, g); Equal(m)) return m;
  if (p.text.size() == 1 && g.text.size() == 1) {
    if (p.text == "=" && g.text == "=") return Equations(p, g);
    if (p.text != "e" && g.text != "e" && p.text != "c")
      if (const Match m = Equations(p, g); Equal(m)) return m;
  }
  if (AsSet(p).has_value() && AsSet(g).has_value()) {
    // The same values of another variable are another answer.
    if (Symbols(p) != Symbols(g)) return Match::kUnequal;
    return Sets(p, g);
  }
  return Match::kUnequal;
}

// Operand by operand, from either end.
Match Comparator::Pairwise(const Node& p, const Node& g) {
  if (p.children.size() != g.children.size()) return Match::kUnequal;
  if (p.text == g.text) {
    const Match m = Ordered(p.children, g.children);
    if (Equal(m) || m == Match::kBudget) return m;
  }
  std::string mirrored(p.text.rbegin(), p.text.rend());
  for (char& op : mirrored) op = Mirrored(op);
  if (mirrored != g.text || p.text.find_first_of("eE") != p.text.npos) return Match::kUnequal;
  return Ordered(std::vector<Node>(p.children.rbegin(), p.children.rend()), g.children);
}

// lhs - rhs of one is a multiple of that of the other, for inequalities a positive one.
Match Comparator::Equations(const Node& p, const Node& g) {
  if (p.children.size() != 2 || g.children.size() != 2) return Match::kUnequal;
  auto difference = [](const Node& n) {
    const bool mirrored = n.text == ">" || n.text == "g";
    return MakeSum(n[mirrored ? 1 : 0], MakeNegate(n[mirrored ? 0 : 1]));
  };
  auto kind = [](const Node& n) {
    return n.text == ">" ? std::string("<") : n.text == "g" ? std::string("l") : n.text;
  };
  if (kind(p) != kind(g)) return Match::kUnequal;
  const bool positive = kind(p) == "<" || kind(p) == "l";
  const Node a = difference(p), b = difference(g);
  if (Symbols(a).empty() || Symbols(b).empty()) return Match::kUnequal;
  const Match m = SameUpToFactor(a, b, positive, Logarithm::kBase10, &budget_);
  return m == Match::kUndefined ? Match::kUnequal : m;
}

}  // namespace hone::math
