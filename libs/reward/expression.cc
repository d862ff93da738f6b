#include "libs/reward/expression.h"

#include <numeric>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace hone {
namespace {

struct Rational {
  int64_t n = 0;
  int64_t d = 1;  // > 0, no common divisor with n
};

// False where the result leaves int64.
bool Make(int64_t n, int64_t d, Rational* out) {
  if (n == INT64_MIN || d == INT64_MIN) return false;
  const int64_t g = std::gcd(n, d);
  *out = {n / g, d / g};
  if (out->d < 0) *out = {-out->n, -out->d};
  return true;
}

bool Add(const Rational& a, const Rational& b, bool subtract, Rational* out) {
  int64_t x, y, n, d;
  return !__builtin_mul_overflow(a.n, b.d, &x) && !__builtin_mul_overflow(b.n, a.d, &y) &&
         !(subtract ? __builtin_sub_overflow(x, y, &n) : __builtin_add_overflow(x, y, &n)) &&
         !__builtin_mul_overflow(a.d, b.d, &d) && Make(n, d, out);
}

// Common factors go first, so that only a result that does not fit overflows.
bool Multiply(const Rational& a, const Rational& b, Rational* out) {
  const int64_t g = std::gcd(a.n, b.d), h = std::gcd(b.n, a.d);
  int64_t n, d;
  return !__builtin_mul_overflow(a.n / g, b.n / h, &n) &&
         !__builtin_mul_overflow(a.d / h, b.d / g, &d) && Make(n, d, out);
}

class Parser {
 public:
  Parser(absl::string_view text, absl::string_view operators)
      : text_(text), operators_(operators) {}

  ExpressionResult Run() {
    Rational value;
    if (Sum(&value, 0)) {
      if (Peek() != '\0' || at_ < text_.size()) {
        Unexpected();
      } else if (overflowed_) {
        result_.code = ExpressionResult::kOverflow;
        result_.why = "a value does not fit 64 bits";
      } else if (divided_by_zero_) {
        result_.code = ExpressionResult::kDivisionByZero;
        result_.why = "division by zero";
      } else {
        result_.code = ExpressionResult::kOk;
        result_.numerator = value.n;
        result_.denominator = value.d;
      }
    }
    return std::move(result_);
  }

 private:
  // The next character that is not white space; '\0' at the end, and for a NUL, which nothing
  // accepts.
  char Peek() {
    while (at_ < text_.size() && absl::ascii_isspace(text_[at_])) ++at_;
    return at_ < text_.size() ? text_[at_] : '\0';
  }

  bool Fail(ExpressionResult::Code code, std::string why) {
    result_.code = code;
    result_.why = std::move(why);
    return false;
  }

  bool Unexpected() {
    if (at_ >= text_.size()) return Fail(ExpressionResult::kSyntax, "the expression breaks off");
    return Fail(
        ExpressionResult::kSyntax,
        absl::StrCat("unexpected \"", absl::CHexEscape(text_.substr(at_, 1)), "\" at byte ", at_));
  }

  // Takes the next character if it is one of `wanted` and an allowed operator.
  bool TakeOperator(absl::string_view wanted, char* op) {
    const char c = Peek();
    if (c == '\0' || wanted.find(c) == wanted.npos || operators_.find(c) == operators_.npos)
      return false;
    ++at_;
    *op = c;
    return true;
  }

  bool Sum(Rational* value, int depth) {
    if (!Product(value, depth)) return false;
    char op;
    while (TakeOperator("+-", &op)) {
      Rational right;
      if (!Product(&right, depth)) return false;
      if (!Add(*value, right, op == '-', value)) Overflow(value);
    }
    return true;
  }

  bool Product(Rational* value, int depth) {
    if (!Atom(value, depth)) return false;
    char op;
    while (TakeOperator("*/", &op)) {
      Rational right;
      if (!Atom(&right, depth)) return false;
      if (op == '/') {
        if (right.n == 0) divided_by_zero_ = true;
        const Rational divisor = right.n == 0 ? Rational{1, 1} : right;
        if (!Make(divisor.d, divisor.n, &right)) Overflow(&right);
      }
      if (!Multiply(*value, right, value)) Overflow(value);
    }
    return true;
  }

  bool Atom(Rational* value, int depth) {
    if (Peek() == '(') {
      if (depth >= kMaxExpressionDepth)
        return Fail(ExpressionResult::kTooDeep,
                    absl::StrCat("more than ", kMaxExpressionDepth, " nested parentheses"));
      ++at_;
      if (!Sum(value, depth + 1)) return false;
      if (Peek() != ')') return Unexpected();
      ++at_;
      return true;
    }
    const size_t begin = at_;
    while (at_ < text_.size() && absl::ascii_isdigit(text_[at_])) ++at_;
    const absl::string_view digits = text_.substr(begin, at_ - begin);
    if (digits.empty()) return Unexpected();
    if (digits.size() > 1 && digits[0] == '0') {
      at_ = begin;
      return Unexpected();
    }
    int64_t number;
    if (absl::SimpleAtoi(digits, &number)) {
      *value = {number, 1};
    } else {
      number = -1;
      Overflow(value);
    }
    result_.numbers.push_back(number);
    return true;
  }

  // Here and after a division by zero the parser goes on with 1, so that the syntax and the numbers
  // of the whole text are known.
  void Overflow(Rational* value) {
    overflowed_ = true;
    *value = {1, 1};
  }

  absl::string_view text_;
  absl::string_view operators_;
  size_t at_ = 0;
  bool divided_by_zero_ = false;
  bool overflowed_ = false;
  ExpressionResult result_;
};

}  // namespace

ExpressionResult EvaluateExpression(absl::string_view text, absl::string_view operators) {
  if (text.size() > kMaxExpressionBytes) {
    ExpressionResult result;
    result.code = ExpressionResult::kTooLong;
    result.why =
        absl::StrCat("the expression has ", text.size(), " bytes, at most ", kMaxExpressionBytes);
    return result;
  }
  return Parser(text, operators).Run();
}

}  // namespace hone
