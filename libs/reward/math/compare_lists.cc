// Lists, sets, tuples and matrices.

#include <algorithm>
#include <functional>

#include "libs/reward/math/comparator.h"

namespace hone::math {
namespace {

// Larger lists are compared in the order given.
constexpr size_t kMaxMatching = 128;

Node WithSign(const Node& n, bool upper) {
  if (n.Is(Kind::kPlusMinus)) {
    Node operand = WithSign(n[0], upper);
    return upper == (n.text == "+") ? operand : MakeNegate(std::move(operand));
  }
  Node copy = n;
  for (Node& child : copy.children) child = WithSign(child, upper);
  return copy;
}

// The items of a list or set, \pm written out; of anything else, itself.
std::vector<Node> Items(const Node& n) {
  if (!n.Is(Kind::kList) && !n.Is(Kind::kSet)) return Signs(n);
  std::vector<Node> items;
  for (const Node& child : n.children)
    for (Node& item : Signs(child)) items.push_back(std::move(item));
  return items;
}

// "x = 1, y = 2": whether all items are assignments to names that differ by more than a subscript,
// so that their order says which is which once the names are gone.
bool Named(const std::vector<Node>& items) {
  std::vector<std::string> stems;
  for (const Node& item : items) {
    const std::optional<Assignment> a = AsAssignment(item);
    if (!a.has_value()) return false;
    stems.push_back(a->name.text.substr(0, a->name.text.find('_')));
  }
  for (size_t i = 1; i < stems.size(); ++i)
    if (stems[i] != stems[0]) return true;
  return false;
}

std::vector<Node> Distinct(std::vector<Node> items) {
  if (items.size() > kMaxMatching) return items;
  std::vector<Node> distinct;
  for (Node& item : items)
    if (std::none_of(distinct.begin(), distinct.end(),
                     [&](const Node& other) { return Identical(item, other); }))
      distinct.push_back(std::move(item));
  return distinct;
}

bool AnyAssignment(const std::vector<Node>& items) {
  for (const Node& item : items)
    if (AsAssignment(item).has_value()) return true;
  return false;
}

}  // namespace

std::vector<Node> Signs(const Node& n) {
  if (!Contains(n, Kind::kPlusMinus)) return {n};
  std::vector<Node> both;
  both.push_back(WithSign(n, true));
  both.push_back(WithSign(n, false));
  return both;
}

bool IsListLike(const Node& n) {
  return n.Is(Kind::kList) || n.Is(Kind::kSet) || Contains(n, Kind::kPlusMinus);
}

Match Comparator::Lists(const Node& p, const Node& g) {
  // Conditions joined by "or": x < 1 or x > 2.
  if (p.Is(Kind::kList) != g.Is(Kind::kList) || p.Is(Kind::kList))
    if (AsSet(p).has_value() && AsSet(g).has_value()) return Sets(p, g);
  // A list in parentheses, or without those of a tuple: only in the same order.
  const bool tuple_p = p.Is(Kind::kTuple) && p.open == '(' && p.close == ')';
  const bool tuple_g = g.Is(Kind::kTuple) && g.open == '(' && g.close == ')';
  if ((tuple_p && g.Is(Kind::kList)) || (tuple_g && p.Is(Kind::kList)))
    return Ordered(Items(Node(Kind::kList, p.children)), Items(Node(Kind::kList, g.children)));
  if (p.Is(Kind::kTuple) && !IsListLike(p) && !g.Is(Kind::kList) && !g.Is(Kind::kSet) &&
      !g.Is(Kind::kTuple))
    return Match::kDifferentType;
  std::vector<Node> a = Items(p), b = Items(g);
  if (a.size() != b.size()) {
    // The same item said twice is still one.
    a = Distinct(std::move(a));
    b = Distinct(std::move(b));
  }
  if (a.size() != b.size())
    return a.size() == 1 || b.size() == 1 ? Match::kDifferentType : Match::kUnequal;
  const bool named = (Named(a) && !AnyAssignment(b)) || (Named(b) && !AnyAssignment(a));
  return named ? Ordered(a, b) : Unordered(a, b);
}

Match Comparator::Ordered(const std::vector<Node>& p, const std::vector<Node>& g) {
  if (p.size() != g.size()) return Match::kUnequal;
  Match all = Match::kExact;
  for (size_t i = 0; i < p.size() && Equal(all); ++i) all = Both(all, Nodes(p[i], g[i]));
  return all;
}

// A perfect matching of equal items (Kuhn): equality may not be transitive (5 cm, 5, 5 kg).
Match Comparator::Unordered(const std::vector<Node>& p, const std::vector<Node>& g) {
  const size_t n = p.size();
  if (n != g.size()) return Match::kUnequal;
  if (n > kMaxMatching) {
    const Match ordered = Ordered(p, g);
    return Equal(ordered) ? ordered : Match::kBudget;
  }
  if (n == 1) return Nodes(p[0], g[0]);
  constexpr int kUnknown = -1;
  std::vector<int> known(n * n, kUnknown);
  Match worst = Match::kUnequal;
  auto equal = [&](size_t i, size_t j) {
    int& k = known[i * n + j];
    if (k == kUnknown) {
      const Match m = Nodes(p[i], g[j]);
      if (m == Match::kBudget) worst = m;
      k = static_cast<int>(m);
    }
    return Equal(static_cast<Match>(k));
  };
  std::vector<int> partner(n, -1);  // of each item of g
  for (size_t i = 0; i < n; ++i) {
    std::vector<bool> seen(n, false);
    const std::function<bool(size_t)> place = [&](size_t item) {
      for (size_t step = 0; step < n; ++step) {
        const size_t j = (item + step) % n;
        if (seen[j] || !equal(item, j)) continue;
        seen[j] = true;
        if (partner[j] < 0 || place(static_cast<size_t>(partner[j]))) {
          partner[j] = static_cast<int>(item);
          return true;
        }
      }
      return false;
    };
    if (!place(i)) return worst;
  }
  Match all = Match::kExact;
  for (size_t j = 0; j < n; ++j)
    all = Both(all, static_cast<Match>(known[static_cast<size_t>(partner[j]) * n + j]));
  return all;
}

Match Comparator::Tuples(const Node& p, const Node& g) {
  if (!p.Is(Kind::kTuple) || !g.Is(Kind::kTuple)) return Match::kDifferentType;
  // Angle brackets are parentheses.
  auto open = [](const Node& n) { return n.open == '<' ? '(' : n.open; };
  auto close = [](const Node& n) { return n.close == '>' ? ')' : n.close; };
  if (open(p) != open(g) || close(p) != close(g)) return Match::kUnequal;
  return Ordered(p.children, g.children);
}

Match Comparator::Matrices(const Node& p, const Node& g) {
  if (p.Is(Kind::kMatrix) && g.Is(Kind::kMatrix)) {
    if (p.count != g.count || p.text != g.text) return Match::kUnequal;
    return Ordered(p.children, g.children);
  }
  // A column or a row is a vector.
  const Node& matrix = p.Is(Kind::kMatrix) ? p : g;
  const Node& other = p.Is(Kind::kMatrix) ? g : p;
  const bool vector =
      matrix.text.empty() &&
      (matrix.count == 1 || static_cast<size_t>(matrix.count) == matrix.children.size());
  if (!vector) return Match::kDifferentType;
  if (matrix.children.size() == 1)
    return p.Is(Kind::kMatrix) ? Nodes(matrix[0], other) : Nodes(other, matrix[0]);
  const bool tuple = other.Is(Kind::kTuple) && (other.open == '(' || other.open == '<') &&
                     (other.close == ')' || other.close == '>');
  return tuple ? Ordered(p.children, g.children) : Match::kDifferentType;
}

}  // namespace hone::math
