#include "libs/reward/math/compare.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_split.h"
#include "libs/reward/math/ball.h"
#include "libs/reward/math/comparator.h"
#include "libs/reward/math/exact.h"

namespace hone::math {
namespace {

bool HasPlainLog(const Node& n) {
  if (n.Is(Kind::kCall) && n.text == "log" && n.children.size() == 1) return true;
  return std::any_of(n.children.begin(), n.children.end(), HasPlainLog);
}

bool IsDecimal(const Node& n) {
  if (n.Is(Kind::kNegate)) return IsDecimal(n[0]);
  return n.Is(Kind::kNumber) && n.text.find('.') != n.text.npos;
}

// Letters and digits only, for comparing prose.
std::string Letters(absl::string_view s) {
  std::string letters;
  for (unsigned char c : s)
    if (absl::ascii_isalnum(c) || c >= 0x80) letters += absl::ascii_tolower(c);
  return letters;
}

Node Quotient(const Node& ratio) {
  return MakeQuotient(ratio[0], ratio[1]);
}

}  // namespace

absl::string_view MatchName(Match m) {
  switch (m) {
    case Match::kExact:
      return "exact";
    case Match::kProved:
      return "proved";
    case Match::kNumeric:
      return "numeric";
    case Match::kUnequal:
      return "unequal";
    case Match::kDifferentType:
      return "of another type";
    case Match::kUnparsedPrediction:
      return "not understood";
    case Match::kUnparsedReference:
      return "reference not understood";
    case Match::kBudget:
      return "out of budget";
    case Match::kUndefined:
      return "undefined";
  }
  return "";
}

int Infinity(const Node& n) {
  if (n.Is(Kind::kConstant) && n.text == "infinity") return 1;
  if (n.Is(Kind::kNegate)) return -Infinity(n[0]);
  return 0;
}

Match Comparator::Nodes(const Node& p, const Node& g) {
  if (!budget_.Spend(1)) return Match::kBudget;
  if (Identical(p, g)) return Match::kExact;
  if (budget_.spent()) return Match::kBudget;
  if (p.Is(Kind::kRelation) || g.Is(Kind::kRelation)) return Relations(p, g);
  return Different(p, g);
}

// Nodes that are not written the same and are no relations.
Match Comparator::Different(const Node& p, const Node& g) {
  auto either = [&](Kind k) { return p.Is(k) || g.Is(k); };
  auto both = [&](Kind k) { return p.Is(k) && g.Is(k); };
  if (either(Kind::kUnion) || either(Kind::kIntersection) || either(Kind::kDifference) ||
      either(Kind::kBuilder))
    return Sets(p, g);
  const bool all_p = p.Is(Kind::kSymbol) && p.text == "\\mathbb{R}";
  const bool all_g = g.Is(Kind::kSymbol) && g.text == "\\mathbb{R}";
  if (all_p != all_g) return Sets(p, g);
  if (either(Kind::kMatrix)) return Matrices(p, g);
  if (IsListLike(p) || IsListLike(g)) return Lists(p, g);
  if (either(Kind::kTuple)) return Tuples(p, g);
  if (either(Kind::kBase))
    return both(Kind::kBase) && p.count == g.count ? Match::kUnequal : Match::kDifferentType;
  if (either(Kind::kUnit) || either(Kind::kPercent) || either(Kind::kDegree)) return Quantity(p, g);
  if (either(Kind::kRatio) || either(Kind::kTime)) return Ratio(p, g);
  if (either(Kind::kText))
    return both(Kind::kText) && Letters(p.text) == Letters(g.text) ? Match::kExact
                                                                   : Match::kUnequal;
  if (p.Is(Kind::kSymbol) && g.Is(Kind::kSymbol)) {
    // Words have lost their case; letters have not.
    return p.text.size() > 1 && Letters(p.text) == Letters(g.text) && p.text[0] != '\\' &&
                   g.text[0] != '\\'
               ? Match::kExact
               : Match::kUnequal;
  }
  if (Infinity(p) != 0 || Infinity(g) != 0)
    return Infinity(p) == Infinity(g) ? Match::kExact : Match::kUnequal;
  return Scalar(p, g);
}

Match Comparator::Scalar(const Node& p, const Node& g) {
  const bool symbols = !Symbols(p).empty() || !Symbols(g).empty();
  const Match match = Value(p, g, symbols);
  if (match == Match::kUnequal && !symbols && Approximates(p, g)) return Match::kNumeric;
  return match;
}

Match Comparator::Value(const Node& p, const Node& g, bool symbols) {
  if (!symbols) {
    if (const std::optional<bool> same = SameRational(p, g, &budget_); same.has_value())
      return *same ? Match::kProved : Match::kUnequal;
  } else if (const Match m = SameQuotient(p, g, &budget_); m != Match::kUndefined) {
    return m;
  }
  if (budget_.spent()) return Match::kBudget;
  auto compare = [&](Logarithm logarithm) {
    return symbols ? SameFunction(p, g, logarithm, &budget_)
                   : SameConstant(p, g, logarithm, &budget_);
  };
  Match match = compare(Logarithm::kBase10);
  if (!Equal(match) && match != Match::kBudget && (HasPlainLog(p) || HasPlainLog(g)))
    match = compare(Logarithm::kNatural);
  // What has no value (1/0) equals nothing but itself.
  return match == Match::kUndefined ? Match::kUnequal : match;
}

bool Comparator::Approximates(const Node& p, const Node& g) {
  if (policy_.approximation == Policy::Approximation::kExact) return false;
  if (policy_.approximation == Policy::Approximation::kRelative) {
    // Two integers, or two fractions, are what they are.
    if (!IsDecimal(p) && !IsDecimal(g)) return false;
    Node size(Kind::kCall, "abs");
    size.children.push_back(g);
    return Close(p, g, MakeProduct(policy_.tolerance, std::move(size)), &budget_);
  }
  if (!IsDecimal(g)) return false;
  const Node& decimal = g.Is(Kind::kNegate) ? g[0] : g;
  const size_t places = decimal.text.size() - decimal.text.find('.') - 1;
  return Close(p, g, Node(Kind::kNumber, "0." + std::string(places, '0') + "5"), &budget_);
}

Match Comparator::Ratio(const Node& p, const Node& g) {
  auto parts = [](const Node& n) { return n.Is(Kind::kRatio) || n.Is(Kind::kTime); };
  if (!parts(p) || !parts(g)) {
    // 3:1 is the quotient 3; 3 o'clock is not.
    const Node& ratio = parts(p) ? p : g;
    if (ratio.children.size() != 2 || !ratio.text.empty()) return Match::kDifferentType;
    return parts(p) ? Nodes(Quotient(p), g) : Nodes(p, Quotient(g));
  }
  if (!p.text.empty() && !g.text.empty() && p.text != g.text) return Match::kUnequal;
  const bool times = (p.Is(Kind::kTime) && g.Is(Kind::kTime)) || !p.text.empty() || !g.text.empty();
  if (p.children.size() != g.children.size()) return Match::kUnequal;
  Match all = Match::kExact;
  for (size_t i = times ? 0 : 1; i < p.children.size() && Equal(all); ++i)
    all = Both(all,
               times ? Nodes(p[i], g[i]) : Nodes(MakeProduct(p[i], g[0]), MakeProduct(g[i], p[0])));
  return all;
}

Match Comparator::Quantity(const Node& p, const Node& g) {
  auto plain = [](const Node& n) {
    return !n.Is(Kind::kUnit) && !n.Is(Kind::kPercent) && !n.Is(Kind::kDegree);
  };
  if (!plain(p) && !plain(g)) {
    if (policy_.units == Policy::Units::kIgnore && !p.Is(Kind::kPercent) && !g.Is(Kind::kPercent))
      return Nodes(p[0], g[0]);
    if (p.kind != g.kind) return Match::kDifferentType;
    return p.Is(Kind::kUnit) ? Units(p, g) : Nodes(p[0], g[0]);
  }
  const Node& quantity = plain(p) ? g : p;
  const Node& other = plain(p) ? p : g;
  auto compare = [&](const Node& value) {
    return plain(p) ? Nodes(other, value) : Nodes(value, other);
  };
  if (quantity.Is(Kind::kPercent)) {
    if (policy_.percent == Policy::Percent::kStrict) return Match::kDifferentType;
    const Match match = compare(quantity[0]);
    if (Equal(match) || policy_.percent == Policy::Percent::kNumber) return match;
    return compare(MakeQuotient(quantity[0], MakeNumber(100)));
  }
  if (policy_.units == Policy::Units::kStrict) return Match::kDifferentType;
  return compare(quantity[0]);
}

Match Comparator::Units(const Node& p, const Node& g) {
  const bool known = !p.text.empty() && !g.text.empty();
  if (known) {
    if (p.text != g.text) return Match::kDifferentType;
    if (Identical(p[1], g[1])) return Nodes(p[0], g[0]);
    return Nodes(MakeProduct(p[0], p[1]), MakeProduct(g[0], g[1]));
  }
  // Words that are no unit: "5 red apples" is "5 apples".
  const std::vector<std::string> a = absl::StrSplit(p[2].text, ' '),
                                 b = absl::StrSplit(g[2].text, ' ');
  const bool subset = a.size() < b.size() ? std::includes(b.begin(), b.end(), a.begin(), a.end())
                                          : std::includes(a.begin(), a.end(), b.begin(), b.end());
  return subset ? Nodes(p[0], g[0]) : Match::kDifferentType;
}

Match Compare(const Answer& prediction, const Answer& reference, const Policy& policy) {
  if (!reference.spelling.empty() && prediction.spelling == reference.spelling)
    return Match::kExact;
  if (reference.form == Answer::kUnparsed || reference.form == Answer::kBlank)
    return Match::kUnparsedReference;
  // A choice with its reason or its value: "(C) 42".
  const Node& g = reference.node;
  if (g.Is(Kind::kSymbol) && g.text.size() == 1 && prediction.choice == g.text[0])
    return Match::kExact;
  if (prediction.form == Answer::kUnparsed || prediction.form == Answer::kBlank)
    return Match::kUnparsedPrediction;
  const Match match = Comparator(policy).Nodes(prediction.node, g);
  if (Equal(match)) return match;
  // The other reading of "1,234".
  if (reference.list.has_value())
    if (const Match other = Comparator(policy).Nodes(prediction.node, *reference.list);
        Equal(other))
      return other;
  if (prediction.list.has_value()) {
    if (const Match other = Comparator(policy).Nodes(*prediction.list, g); Equal(other))
      return other;
    if (reference.list.has_value())
      if (const Match other = Comparator(policy).Nodes(*prediction.list, *reference.list);
          Equal(other))
        return other;
  }
  return match;
}

}  // namespace hone::math
