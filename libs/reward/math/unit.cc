#include "libs/reward/math/unit.h"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <numeric>
#include <unordered_map>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace hone::math {
namespace {

// One of `name` is numerator/denominator of `dimension`: factors of "m", "g", "s" with exponents.
struct UnitEntry {
  absl::string_view name, dimension;
  long numerator, denominator;
};

constexpr UnitEntry kUnits[] = {
    {"m", "m", 1, 1},
    {"meter", "m", 1, 1},
    {"metre", "m", 1, 1},
    {"cm", "m", 1, 100},
    {"centimeter", "m", 1, 100},
    {"centimetre", "m", 1, 100},
    {"mm", "m", 1, 1000},
    {"millimeter", "m", 1, 1000},
    {"millimetre", "m", 1, 1000},
    {"dm", "m", 1, 10},
    {"decimeter", "m", 1, 10},
    {"km", "m", 1000, 1},
    {"kilometer", "m", 1000, 1},
    {"kilometre", "m", 1000, 1},
    {"nm", "m", 1, 1000000000},
    {"nanometer", "m", 1, 1000000000},
    {"micron", "m", 1, 1000000},
    {"inch", "m", 127, 5000},
    {"inche", "m", 127, 5000},
    {"in", "m", 127, 5000},
    {"foot", "m", 381, 1250},
    {"feet", "m", 381, 1250},
    {"ft", "m", 381, 1250},
    {"yard", "m", 1143, 1250},
    {"yd", "m", 1143, 1250},
    {"mile", "m", 201168, 125},
    {"mi", "m", 201168, 125},
    {"g", "g", 1, 1},
    {"gm", "g", 1, 1},
    {"gram", "g", 1, 1},
    {"kg", "g", 1000, 1},
    {"kilogram", "g", 1000, 1},
    {"mg", "g", 1, 1000},
    {"milligram", "g", 1, 1000},
    {"ton", "ton", 1, 1},
    {"tonne", "g", 1000000, 1},
    {"lb", "lb", 1, 1},
    {"pound", "lb", 1, 1},
    {"oz", "lb", 1, 16},
    {"ounce", "lb", 1, 16},
    {"s", "s", 1, 1},
    {"sec", "s", 1, 1},
    {"second", "s", 1, 1},
    {"ms", "s", 1, 1000},
    {"millisecond", "s", 1, 1000},
    {"min", "s", 60, 1},
    {"minute", "s", 60, 1},
    {"h", "s", 3600, 1},
    {"hr", "s", 3600, 1},
    {"hour", "s", 3600, 1},
    {"day", "s", 86400, 1},
    {"week", "s", 604800, 1},
    {"month", "month", 1, 1},
    {"year", "month", 12, 1},
    {"yr", "month", 12, 1},
    {"l", "l", 1, 1},
    {"liter", "l", 1, 1},
    {"litre", "l", 1, 1},
    {"ml", "l", 1, 1000},
    {"milliliter", "l", 1, 1000},
    {"millilitre", "l", 1, 1000},
    {"gallon", "gallon", 1, 1},
    {"gal", "gallon", 1, 1},
    {"quart", "gallon", 1, 4},
    {"pint", "gallon", 1, 8},
    {"cup", "gallon", 1, 16},
    {"dollar", "dollar", 1, 1},
    {"usd", "dollar", 1, 1},
    {"buck", "dollar", 1, 1},
    {"cent", "dollar", 1, 100},
    {"euro", "euro", 1, 1},
    {"sterling", "sterling", 1, 1},
    {"yuan", "yuan", 1, 1},
    {"rmb", "yuan", 1, 1},
    {"rupee", "rupee", 1, 1},
    {"mph", "m|s^-1", 55880, 125000},
    {"kph", "m|s^-1", 5, 18},
    {"n", "newton", 1, 1},
    {"newton", "newton", 1, 1},
    {"j", "joule", 1, 1},
    {"joule", "joule", 1, 1},
    {"kj", "joule", 1000, 1},
    {"w", "watt", 1, 1},
    {"watt", "watt", 1, 1},
    {"kw", "watt", 1000, 1},
    {"v", "volt", 1, 1},
    {"volt", "volt", 1, 1},
    {"k", "kelvin", 1, 1},
    {"kelvin", "kelvin", 1, 1},
    {"hz", "hertz", 1, 1},
    {"hertz", "hertz", 1, 1},
    {"pa", "pascal", 1, 1},
    {"mol", "mol", 1, 1},
    {"mole", "mol", 1, 1},
    {"ev", "ev", 1, 1},
    {"unit", "unit", 1, 1},
    {"radian", "radian", 1, 1},
    {"rad", "radian", 1, 1},
    {"\u5143", "yuan", 1, 1},
    {"\u5206", "yuan", 1, 100},
    {"\u7c73", "m", 1, 1},
    {"\u5398\u7c73", "m", 1, 100},
    {"\u5206\u7c73", "m", 1, 10},
    {"\u6beb\u7c73", "m", 1, 1000},
    {"\u5343\u7c73", "m", 1000, 1},
    {"\u516c\u91cc", "m", 1000, 1},
    {"\u514b", "g", 1, 1},
    {"\u5343\u514b", "g", 1000, 1},
    {"\u516c\u65a4", "g", 1000, 1},
    {"\u5428", "g", 1000000, 1},
    {"\u5347", "l", 1, 1},
    {"\u6beb\u5347", "l", 1, 1000},
    {"\u79d2", "s", 1, 1},
    {"\u5206\u949f", "s", 60, 1},
    {"\u5c0f\u65f6", "s", 3600, 1},
    {"\u5929", "s", 86400, 1},
    {"\u5e73\u65b9\u5398\u7c73", "m^2", 1, 10000},
    {"\u5e73\u65b9\u5206\u7c73", "m^2", 1, 100},
    {"\u5e73\u65b9\u7c73", "m^2", 1, 1},
    {"\u7acb\u65b9\u5398\u7c73", "m^3", 1, 1000000},
    {"\u7acb\u65b9\u5206\u7c73", "m^3", 1, 1000},
    {"\u7acb\u65b9\u7c73", "m^3", 1, 1},
};

// Words that make what stands before them a part of something else.
constexpr absl::string_view kNoUnit[] = {
    "to",      "not",   "over", "times",  "plus",   "minus", "half",    "third",        "quarter",
    "squared", "cubed", "sqrt", "mod",    "base",   "where", "if",      "when",         "except",
    "is",      "are",   "with", "modulo", "which",  "so",    "but",     "factorial",    "then",
    "because", "zero",  "one",  "two",    "three",  "four",  "five",    "six",          "seven",
    "eight",   "nine",  "ten",  "eleven", "twelve", "maybe", "perhaps", "alternatively"};

long Scale(absl::string_view word) {
  if (word == "hundred") return 100;
  if (word == "thousand") return 1000;
  if (word == "million") return 1000000;
  if (word == "billion") return 1000000000;
  if (word == "trillion") return 1000000000000;
  if (word == "dozen") return 12;
  if (word == "\u4e07") return 10000;
  if (word == "\u4ebf") return 100000000;
  return 0;
}

const UnitEntry* Find(absl::string_view word) {
  static const auto* table = [] {
    auto* t = new std::unordered_map<std::string, const UnitEntry*>;
    for (const UnitEntry& u : kUnits) t->emplace(std::string(u.name), &u);
    return t;
  }();
  auto it = table->find(std::string(word));
  return it == table->end() ? nullptr : it->second;
}

// Lower case and singular.
std::string Stem(absl::string_view word) {
  std::string s = absl::AsciiStrToLower(word);
  if (s.size() > 2 && s.back() == 's' && s != "gas" && !absl::EndsWith(s, "ss")) s.pop_back();
  return s;
}

class UnitReader {
 public:
  explicit UnitReader(absl::Span<const Token> tokens) : tokens_(tokens) {}

  // Whether all tokens are a unit.
  bool Run() {
    while (at_ < tokens_.size())
      if (!Next()) return false;
    return !words_.empty();
  }

  Node Unit(Node value) const {
    Node unit(Kind::kUnit);
    std::string dimension;
    if (known_)
      for (const auto& [base, exponent] : exponents_)
        if (exponent != 0) absl::StrAppend(&dimension, base, "^", exponent, " ");
    unit.text = dimension;
    Node factor = MakeNumber(1);
    for (const auto& [entry, exponent] : used_) {
      Node power(Kind::kPower);
      power.children.push_back(
          MakeQuotient(MakeNumber(entry->numerator), MakeNumber(entry->denominator)));
      power.children.push_back(MakeNumber(exponent));
      factor = MakeProduct(std::move(factor), std::move(power));
    }
    std::vector<std::string> sorted = words_;
    std::sort(sorted.begin(), sorted.end());
    unit.children.push_back(std::move(value));
    unit.children.push_back(std::move(factor));
    unit.children.push_back(Node(Kind::kText, absl::StrJoin(sorted, " ")));
    return unit;
  }

 private:
  bool Next() {
    const Token& t = tokens_[at_++];
    if (t.Is('/')) {
      sign_ = -1;
      return true;
    }
    if (t.Is('*') || t.Is('-') || t.Is('\'') || t.Is('{') || t.Is('}') || t.Is(',') || t.Is('.') ||
        t.Is('(') || t.Is(')'))
      return true;
    if (t.Is('^')) return Exponent();
    if (t.type != Tok::kWord && t.type != Tok::kLetter) return false;
    const std::string word = Stem(t.text);
    if (word == "per") {
      sign_ = -1;
      return true;
    }
    if (word == "square" || word == "sq" || word == "cubic" || word == "cu") {
      power_ = word[0] == 's' ? 2 : 3;
      return true;
    }
    if (word == "squared" || word == "cubed") {
      if (used_.empty()) return false;
      return Raise(word[0] == 's' ? 2 : 3);
    }
    if (word == "of" || word == "the" || word == "and" || word == "or")
      return word == "of" || word == "the";
    if (std::find(std::begin(kNoUnit), std::end(kNoUnit), absl::AsciiStrToLower(t.text)) !=
        std::end(kNoUnit))
      return false;
    if (words_.size() >= 8) return false;
    words_.push_back(word);
    const UnitEntry* entry = Find(word);
    if (entry == nullptr) {
      known_ = false;
      return true;
    }
    used_.push_back({entry, 0});
    return Raise(power_);
  }

  // Gives the last unit the exponent `power`.
  bool Raise(int power) {
    auto& [entry, exponent] = used_.back();
    const int add = sign_ * power - exponent;
    exponent += add;
    for (absl::string_view rest = entry->dimension; !rest.empty();) {
      const absl::string_view part = rest.substr(0, rest.find('|'));
      rest.remove_prefix(std::min(rest.size(), part.size() + 1));
      const size_t caret = part.find('^');
      const int own =
          caret == part.npos ? 1 : std::atoi(std::string(part.substr(caret + 1)).c_str());
      exponents_[std::string(part.substr(0, caret))] += add * own;
    }
    power_ = 1;
    return true;
  }

  bool Exponent() {
    bool negative = false;
    while (at_ < tokens_.size() && (tokens_[at_].Is('{') || tokens_[at_].Is('-')))
      negative |= tokens_[at_++].Is('-');
    if (at_ >= tokens_.size() || tokens_[at_].type != Tok::kNumber ||
        tokens_[at_].text.size() != 1 || used_.empty())
      return false;
    const int value = tokens_[at_++].text[0] - '0';
    const int sign = sign_;
    if (negative) sign_ = -sign_;
    const bool ok = Raise(value);
    sign_ = sign;
    return ok;
  }

  absl::Span<const Token> tokens_;
  size_t at_ = 0;
  int sign_ = 1, power_ = 1;
  bool known_ = true;
  std::vector<std::string> words_;
  std::vector<std::pair<const UnitEntry*, int>> used_;
  std::map<std::string, int> exponents_;
};

}  // namespace

bool IsUnitWord(absl::string_view word) {
  return word.size() > 1 &&
         (Find(Stem(word)) != nullptr || Find(absl::AsciiStrToLower(word)) != nullptr);
}

std::optional<Node> WithUnit(Node value, absl::Span<const Token> tokens) {
  while (!tokens.empty() && tokens[0].type == Tok::kWord) {
    const long scale = Scale(absl::AsciiStrToLower(tokens[0].text));
    if (scale == 0) break;
    value = MakeProduct(std::move(value), MakeNumber(scale));
    tokens.remove_prefix(1);
  }
  if (tokens.empty()) return value;
  const std::string first = absl::AsciiStrToLower(tokens[0].text);
  if (tokens.size() == 1 && (first == "am" || first == "pm") && value.Is(Kind::kRatio)) {
    value.kind = Kind::kTime;
    value.text = first;
    return value;
  }
  if (tokens.size() == 1 && (first == "am" || first == "pm") && value.Is(Kind::kNumber)) {
    Node time(Kind::kTime, first);
    time.children.push_back(std::move(value));
    time.children.push_back(MakeNumber(0));
    return time;
  }
  if (tokens[0].Is('%') && tokens.size() == 1) {
    Node percent(Kind::kPercent);
    percent.children.push_back(std::move(value));
    return percent;
  }
  UnitReader reader(tokens);
  if (!reader.Run()) return std::nullopt;
  return reader.Unit(std::move(value));
}

}  // namespace hone::math
