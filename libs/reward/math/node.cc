#include "libs/reward/math/node.h"

#include <algorithm>
#include <utility>

namespace hone::math {
namespace {

void Collect(const Node& node, std::vector<std::string>* names) {
  if (node.Is(Kind::kSymbol)) names->push_back(node.text);
  for (const Node& child : node.children) Collect(child, names);
}

// Appends `b` to `a`, which becomes a node of `kind` if it is none.
Node Append(Kind kind, Node a, Node b) {
  if (!a.Is(kind)) {
    Node parent(kind);
    parent.children.push_back(std::move(a));
    a = std::move(parent);
  }
  a.children.push_back(std::move(b));
  return a;
}

}  // namespace

std::string CanonicalDigits(absl::string_view digits) {
  const size_t point = digits.find('.');
  absl::string_view whole = digits.substr(0, point);
  absl::string_view decimals = point == digits.npos ? "" : digits.substr(point + 1);
  while (!whole.empty() && whole.front() == '0') whole.remove_prefix(1);
  while (!decimals.empty() && decimals.back() == '0') decimals.remove_suffix(1);
  std::string s(whole.empty() ? "0" : whole);
  if (!decimals.empty()) {
    s += '.';
    s.append(decimals.data(), decimals.size());
  }
  return s;
}

bool Identical(const Node& a, const Node& b) {
  if (a.kind != b.kind || a.count != b.count || a.open != b.open || a.close != b.close ||
      a.children.size() != b.children.size())
    return false;
  if (a.text != b.text) {
    if (!a.Is(Kind::kNumber) || a.count != 0) return false;
    if (CanonicalDigits(a.text) != CanonicalDigits(b.text)) return false;
  }
  for (size_t i = 0; i < a.children.size(); ++i)
    if (!Identical(a[i], b[i])) return false;
  return true;
}

Node MakeNumber(long value) {
  if (value < 0) return MakeNegate(Node(Kind::kNumber, std::to_string(-value)));
  return Node(Kind::kNumber, std::to_string(value));
}

Node MakeSum(Node a, Node b) {
  return Append(Kind::kSum, std::move(a), std::move(b));
}

Node MakeProduct(Node a, Node b) {
  return Append(Kind::kProduct, std::move(a), std::move(b));
}

Node MakeNegate(Node a) {
  // -($5) is a quantity, too.
  if (a.Is(Kind::kUnit) || a.Is(Kind::kPercent) || a.Is(Kind::kDegree)) {
    a.children[0] = MakeNegate(std::move(a.children[0]));
    return a;
  }
  Node node(Kind::kNegate);
  node.children.push_back(std::move(a));
  return node;
}

Node MakeQuotient(Node a, Node b) {
  Node inverse(Kind::kInverse);
  inverse.children.push_back(std::move(b));
  return MakeProduct(std::move(a), std::move(inverse));
}

uint64_t HashOfName(const std::string& name, uint64_t seed) {
  uint64_t h = 0xcbf29ce484222325 ^ (seed * 0x9e3779b97f4a7c15);
  for (unsigned char c : name) h = (h ^ c) * 0x100000001b3;
  h ^= h >> 33;
  h *= 0xff51afd7ed558ccd;
  return h ^ (h >> 33);
}

std::vector<std::string> Symbols(const Node& node) {
  std::vector<std::string> names;
  Collect(node, &names);
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

bool Contains(const Node& node, Kind kind) {
  if (node.Is(kind)) return true;
  return std::any_of(node.children.begin(), node.children.end(),
                     [kind](const Node& child) { return Contains(child, kind); });
}

}  // namespace hone::math
