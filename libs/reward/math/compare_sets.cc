// Sets of real numbers: intervals, unions, bounds and conditions.

#include <algorithm>

#include "libs/reward/math/ball.h"
#include "libs/reward/math/comparator.h"

namespace hone::math {
namespace {

// Names that bounds are about.
bool IsVariable(const Node& n) {
  return (n.Is(Kind::kSymbol) && n.text != "\\mathbb{R}") || n.Is(Kind::kApply);
}

std::optional<Node> End(const Node& n) {
  if (Infinity(n) != 0) return std::nullopt;
  return n;
}

bool IsAll(const Node& n) {
  return n.Is(Kind::kSymbol) && (n.text == "\\mathbb{R}" || n.text == "all real numbers" ||
                                 n.text == "all reals" || n.text == "real numbers");
}

}  // namespace

// The line without some points, in order.
std::optional<std::vector<Interval>> Comparator::Without(const std::vector<Node>& points) {
  if (points.empty() || points.size() > 16) return std::nullopt;
  std::vector<Node> sorted = points;
  bool certain = true;
  std::sort(sorted.begin(), sorted.end(), [&](const Node& a, const Node& b) {
    const int order = Order(a, b, &budget_);
    certain &= order != 0 || Identical(a, b);
    return order < 0;
  });
  if (sorted.size() > 1 && !certain) return std::nullopt;
  std::vector<Interval> pieces(1);
  for (const Node& point : sorted) {
    pieces.back().high = point;
    pieces.emplace_back().low = point;
  }
  return pieces;
}

std::optional<std::vector<Interval>> Comparator::RelationAsSet(const Node& n) {
  const std::string& ops = n.text;
  if (ops == "e") return IsVariable(n[0]) ? AsSet(n[1]) : std::nullopt;
  int variable = -1;
  for (size_t i = 0; i < n.children.size(); ++i) {
    if (IsVariable(n[i])) {
      if (variable >= 0) return std::nullopt;
      variable = static_cast<int>(i);
    } else if (!Symbols(n[i]).empty() && n.children.size() == 2) {
      return std::nullopt;  // 2x < 4 - y
    }
  }
  if (variable < 0) return std::nullopt;
  if (ops == "n") return Without({n[1 - variable]});
  if (ops == "=") return std::vector<Interval>{{n[1 - variable], n[1 - variable], true, true}};
  Interval interval;
  if (n.children.size() == 2) {
    // As "variable op bound".
    const Node& bound = n[1 - variable];
    const bool less = (ops[0] == '<' || ops[0] == 'l') == (variable == 0);
    if (ops.find_first_not_of("<>lg") != ops.npos) return std::nullopt;
    const bool closed = ops[0] == 'l' || ops[0] == 'g';
    if (less) {
      interval.high = End(bound);
      interval.high_closed = closed && interval.high.has_value();
    } else {
      interval.low = End(bound);
      interval.low_closed = closed && interval.low.has_value();
    }
    return std::vector<Interval>{interval};
  }
  if (n.children.size() != 3 || variable != 1) return std::nullopt;
  auto one_of = [](char c, char a, char b) { return c == a || c == b; };
  const bool up = one_of(ops[0], '<', 'l') && one_of(ops[1], '<', 'l');
  const bool down = one_of(ops[0], '>', 'g') && one_of(ops[1], '>', 'g');
  if (!up && !down) return std::nullopt;
  const size_t low = up ? 0 : 2, high = 2 - low;
  interval.low = End(n[low]);
  interval.high = End(n[high]);
  interval.low_closed = one_of(ops[up ? 0 : 1], 'l', 'g') && interval.low.has_value();
  interval.high_closed = one_of(ops[up ? 1 : 0], 'l', 'g') && interval.high.has_value();
  return std::vector<Interval>{interval};
}

std::optional<std::vector<Interval>> Comparator::AsSet(const Node& n) {
  if (IsAll(n)) return std::vector<Interval>(1);
  switch (n.kind) {
    case Kind::kTuple: {
      if (n.children.size() != 2 || n.open == '<') return std::nullopt;
      Interval interval{End(n[0]), End(n[1]), n.open == '[', n.close == ']'};
      if (Infinity(n[0]) > 0 || Infinity(n[1]) < 0) return std::nullopt;
      if ((!interval.low.has_value() && interval.low_closed) ||
          (!interval.high.has_value() && interval.high_closed))
        return std::nullopt;
      return std::vector<Interval>{interval};
    }
    case Kind::kSet: {
      std::vector<Interval> points;
      for (const Node& child : n.children)
        for (const Node& point : Signs(child)) points.push_back({point, point, true, true});
      return points;
    }
    case Kind::kRelation:
      return RelationAsSet(n);
    case Kind::kBuilder:
      return IsVariable(n[0]) || n[0].Is(Kind::kRelation) ? AsSet(n[1]) : std::nullopt;
    case Kind::kUnion: {
      std::vector<Interval> all;
      for (const Node& child : n.children) {
        const std::optional<std::vector<Interval>> part = AsSet(child);
        if (!part.has_value()) return std::nullopt;
        all.insert(all.end(), part->begin(), part->end());
      }
      return all;
    }
    case Kind::kDifference: {
      if (!IsAll(n[0]) || !n[1].Is(Kind::kSet)) return std::nullopt;
      std::vector<Node> points;
      for (const Node& child : n[1].children)
        for (Node& point : Signs(child)) points.push_back(std::move(point));
      return Without(points);
    }
    case Kind::kList: {
      // Conditions on one variable: either ("or"), or both bounds.
      std::vector<Interval> all;
      std::vector<Node> excluded;
      for (const Node& child : n.children) {
        if (!child.Is(Kind::kRelation)) return std::nullopt;
        if (child.text == "n" && IsVariable(child[0])) excluded.push_back(child[1]);
        const std::optional<std::vector<Interval>> part = RelationAsSet(child);
        if (!part.has_value()) return std::nullopt;
        all.insert(all.end(), part->begin(), part->end());
      }
      if (Symbols(n).size() > 1) return std::nullopt;
      if (excluded.size() == n.children.size() && n.text != "or") return Without(excluded);
      if (n.text == "or") return all;
      if (all.size() != 2 || !excluded.empty()) return std::nullopt;
      const Interval& a = all[0].low.has_value() ? all[0] : all[1];
      const Interval& b = all[0].low.has_value() ? all[1] : all[0];
      if (!a.low.has_value() || a.high.has_value() || b.low.has_value() || !b.high.has_value())
        return std::nullopt;
      return std::vector<Interval>{{a.low, b.high, a.low_closed, b.high_closed}};
    }
    default:
      return std::nullopt;
  }
}

Match Comparator::SameEnd(const std::optional<Node>& p, const std::optional<Node>& g) {
  if (p.has_value() != g.has_value()) return Match::kUnequal;
  return p.has_value() ? Nodes(*p, *g) : Match::kExact;
}

Match Comparator::Sets(const Node& p, const Node& g) {
  const std::optional<std::vector<Interval>> a = AsSet(p), b = AsSet(g);
  if (a.has_value() && b.has_value()) {
    if (a->size() != b->size() || a->size() > 64) return Match::kUnequal;
    Match all = Match::kExact;
    std::vector<bool> used(b->size(), false);
    for (const Interval& x : *a) {
      Match best = Match::kUnequal;
      for (size_t j = 0; j < b->size() && !Equal(best); ++j) {
        const Interval& y = (*b)[j];
        if (used[j] || x.low_closed != y.low_closed || x.high_closed != y.high_closed) continue;
        best = SameEnd(x.low, y.low);
        if (Equal(best)) best = Both(best, SameEnd(x.high, y.high));
        if (Equal(best)) used[j] = true;
      }
      if (!Equal(best)) return best;
      all = Both(all, best);
    }
    return all;
  }
  if (p.kind != g.kind) return Match::kDifferentType;
  if (p.Is(Kind::kBuilder) || p.Is(Kind::kDifference)) return Ordered(p.children, g.children);
  if (p.Is(Kind::kUnion) || p.Is(Kind::kIntersection)) return Unordered(p.children, g.children);
  return Match::kUnequal;
}

}  // namespace hone::math
