#pragma once

// Private to compare*.cc: one comparison of two answers.

#include <optional>
#include <utility>
#include <vector>

#include "libs/reward/math/compare.h"

namespace hone::math {

// A piece of the real line; an absent end is infinite.
struct Interval {
  std::optional<Node> low, high;
  bool low_closed = false, high_closed = false;
};

// `p` is always (a part of) the prediction, `g` of the reference.
class Comparator {
 public:
  explicit Comparator(const Policy& policy) : policy_(policy), budget_(kSteps) {}

  Match Nodes(const Node& p, const Node& g);

 private:
  static constexpr long kSteps = 20000;

  // compare.cc
  Match Different(const Node& p, const Node& g);
  Match Scalar(const Node& p, const Node& g);
  Match Value(const Node& p, const Node& g, bool symbols);
  bool Approximates(const Node& p, const Node& g);
  Match Quantity(const Node& p, const Node& g);
  Match Units(const Node& p, const Node& g);
  Match Ratio(const Node& p, const Node& g);
  // compare_lists.cc
  Match Lists(const Node& p, const Node& g);
  Match Ordered(const std::vector<Node>& p, const std::vector<Node>& g);
  Match Unordered(const std::vector<Node>& p, const std::vector<Node>& g);
  Match Tuples(const Node& p, const Node& g);
  Match Matrices(const Node& p, const Node& g);
  // compare_relations.cc
  Match Relations(const Node& p, const Node& g);
  Match Equations(const Node& p, const Node& g);
  Match Pairwise(const Node& p, const Node& g);
  // compare_sets.cc
  Match Sets(const Node& p, const Node& g);
  std::optional<std::vector<Interval>> AsSet(const Node& n);
  std::optional<std::vector<Interval>> RelationAsSet(const Node& n);
  std::optional<std::vector<Interval>> Without(const std::vector<Node>& points);
  Match SameEnd(const std::optional<Node>& p, const std::optional<Node>& g);

  const Policy& policy_;
  Budget budget_;
};

// "x = 5": the name and the value. Nothing for an equation of another form.
struct Assignment {
  Node name;
  Node value;
};
std::optional<Assignment> AsAssignment(const Node& n);

// `n` without what follows \approx, and "5 = x" as "x = 5".
Node Simplified(const Node& n);

// `n` with the upper and the lower signs of \pm and \mp; itself where it has none.
std::vector<Node> Signs(const Node& n);

// +1 or -1 for \infty, else 0.
int Infinity(const Node& n);

bool IsListLike(const Node& n);

}  // namespace hone::math
