#include "libs/reward/countdown.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/reward/expression.h"
#include "libs/reward/template.h"

namespace hone {
namespace {

using google::protobuf::Value;

struct Puzzle {
  std::vector<int64_t> numbers;  // ascending
  int64_t target = 0;
};

std::optional<int64_t> Integer(const Value& value, double least, double most) {
  const double v = value.number_value();
  if (value.kind_case() != Value::kNumberValue || !(v >= least && v <= most) || v != std::floor(v))
    return std::nullopt;
  return static_cast<int64_t>(v);
}

// Empty, or what is wrong with the prompt.
std::string ReadPuzzle(const v1::Prompt& prompt, Puzzle* puzzle) {
  constexpr double kLargestNumber = 1e9, kLargestTarget = 1e15;
  constexpr int kMostNumbers = 64;
  const auto& fields = prompt.metadata().fields();
  const auto numbers = fields.find("numbers");
  const auto target = fields.find("target");
  if (numbers == fields.end() || target == fields.end())
    return "prompt.metadata has no \"numbers\" and \"target\"";
  if (numbers->second.kind_case() != Value::kListValue ||
      numbers->second.list_value().values().empty() ||
      numbers->second.list_value().values_size() > kMostNumbers)
    return absl::StrCat("prompt.metadata.numbers is not a list of 1 to ", kMostNumbers, " numbers");
  for (const Value& value : numbers->second.list_value().values()) {
    const std::optional<int64_t> n = Integer(value, 0, kLargestNumber);
    if (!n.has_value())
      return absl::StrCat("prompt.metadata.numbers has ", Quoted(value.ShortDebugString()),
                          ", expected integers from 0 to 1e9");
    puzzle->numbers.push_back(*n);
  }
  std::sort(puzzle->numbers.begin(), puzzle->numbers.end());
  const std::optional<int64_t> t = Integer(target->second, -kLargestTarget, kLargestTarget);
  if (!t.has_value())
    return absl::StrCat("prompt.metadata.target is ", Quoted(target->second.ShortDebugString()),
                        ", expected an integer of magnitude up to 1e15");
  puzzle->target = *t;
  return "";
}

class CountdownScorer final : public Scorer {
 public:
  CountdownScorer(std::string operators, Template shape)
      : operators_(std::move(operators)), shape_(shape) {}

  v1::ScorePart Score(const v1::ScoreItem& item, TimePoint) const override {
    Puzzle puzzle;
    if (std::string wrong = ReadPuzzle(item.prompt(), &puzzle); !wrong.empty())
      return Unscored(v1::OUTCOME_BAD_REFERENCE, wrong);

    const TemplateMatch match = MatchTemplate(shape_, item);
    if (!match.ok) return Unparsed(match.why);
    std::optional<absl::string_view> answer = match.answer;
    if (shape_ != Template::kR1Zero) {
      const std::optional<absl::string_view> rest = AfterThinking(item);
      if (!rest.has_value()) return Unparsed("the thoughts do not end");
      answer = LastAnswer(*rest);
      if (!answer.has_value()) return Unparsed("no <answer>...</answer>");
    }

    ExpressionResult result = EvaluateExpression(*answer, operators_);
    switch (result.code) {
      case ExpressionResult::kTooLong:
      case ExpressionResult::kTooDeep:
        return Unscored(v1::OUTCOME_BUDGET, result.why);
      case ExpressionResult::kSyntax:
        return Scored(0, absl::StrCat(Quoted(*answer), ": ", result.why));
      case ExpressionResult::kOverflow:
      case ExpressionResult::kDivisionByZero:
      case ExpressionResult::kOk:
        break;
    }
    std::sort(result.numbers.begin(), result.numbers.end());
    if (result.numbers != puzzle.numbers)
      return Scored(0, absl::StrCat(Quoted(*answer), " does not use each given number once"));
    if (result.code == ExpressionResult::kOverflow) return Unscored(v1::OUTCOME_BUDGET, result.why);
    if (result.code == ExpressionResult::kDivisionByZero)
      return Scored(0, absl::StrCat(Quoted(*answer), ": ", result.why));
    const bool equal = result.denominator == 1 && result.numerator == puzzle.target;
    return Scored(equal ? 1 : 0,
                  absl::StrCat(Quoted(*answer), " = ", result.numerator,
                               result.denominator == 1 ? "" : absl::StrCat("/", result.denominator),
                               equal ? "" : absl::StrCat(", not ", puzzle.target)));
  }

 private:
  std::string operators_;
  Template shape_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Scorer>> MakeCountdownScorer(Options& options) {
  const std::string operators = options.String("operators", "+-*/");
  const Template shape = TemplateByName(options.Choice("require_format", "none", TemplateNames()));
  if (operators.empty() || operators.find_first_not_of("+-*/") != operators.npos)
    return absl::InvalidArgumentError(
        absl::StrCat("option \"operators\" of scorer \"countdown\" is ", Quoted(operators),
                     ", expected some of +-*/"));
  return std::make_unique<CountdownScorer>(operators, shape);
}

}  // namespace hone
