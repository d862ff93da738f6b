// Operands of expressions, and what may follow them.

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "libs/reward/math/parser_class.h"

namespace hone::math {

bool Parser::Postfix(Node* out) {
  const bool mixed = Mixed(out);
  if (!mixed && !Operand(out)) return false;
  after_number_ = at_ > 0 && tokens_[at_ - 1].type == Tok::kNumber;
  for (int n = 0;; ++n) {
    if (n > 8) return false;
    if (At().Is('^')) {
      ++at_;
      Node power(Kind::kPower);
      power.children.push_back(std::move(*out));
      if (!ExponentOf(&power.children.emplace_back())) return false;
      *out = std::move(power);
    } else if (At().Is('!')) {
      ++at_;
      Wrap(Kind::kCall, "factorial", out);
    } else if (At().Is('%')) {
      ++at_;
      Wrap(Kind::kPercent, "", out);
    } else if (At().Is('d')) {
      ++at_;
      Wrap(Kind::kDegree, "", out);
      // 25 °C
      if (At().type == Tok::kLetter && (At().text == "C" || At().text == "F")) ++at_;
    } else if (At().Is('_') && IsInteger(*out)) {
      ++at_;
      if (!Base(out)) return false;
    } else {
      after_number_ &= n == 0;
      return true;
    }
  }
}

void Parser::Wrap(Kind kind, absl::string_view text, Node* node) {
  Node outer(kind, text);
  outer.children.push_back(std::move(*node));
  *node = std::move(outer);
}

bool Parser::ExponentOf(Node* out) {
  const Depth depth(this);
  if (!depth.ok()) return false;
  if (Take('-')) {
    Node operand;
    if (!ExponentOf(&operand)) return false;
    *out = MakeNegate(std::move(operand));
    return true;
  }
  Take('+');
  if (!Operand(out)) return false;
  if (At().Is('^')) {  // 2^3^2
    ++at_;
    Node power(Kind::kPower);
    power.children.push_back(std::move(*out));
    if (!ExponentOf(&power.children.emplace_back())) return false;
    *out = std::move(power);
  }
  return true;
}

bool Parser::Base(Node* out) {
  const bool brace = Take('{');
  int base = 0;
  if (At().type == Tok::kNumber && At().text.size() <= 2 &&
      At().text.find('.') == std::string::npos) {
    base = std::stoi(At().text);
  } else if (At().type == Tok::kWord) {
    constexpr absl::string_view kNames[] = {"two",   "three", "four", "five", "six",
                                            "seven", "eight", "nine", "ten"};
    for (int i = 0; i < 9; ++i)
      if (absl::AsciiStrToLower(At().text) == kNames[i]) base = i + 2;
  }
  if (base < 2 || base > 36) return false;
  ++at_;
  if (brace && !Take('}')) return false;
  *out = Node(Kind::kBase, CanonicalDigits(out->text));
  out->count = base;
  return true;
}

bool Parser::Mixed(Node* out) {
  if (At().type != Tok::kNumber || At().text.find('.') != std::string::npos) return false;
  const size_t begin = at_;
  const Node whole(Kind::kNumber, At().text);
  Node a, b;
  if (At(1).Is('F')) {
    const std::vector<Token> saved(tokens_.begin() + begin,
                                   tokens_.begin() + std::min(tokens_.size(), begin + 12));
    at_ += 2;
    if (Argument(&a) && Argument(&b) && Proper(a, b)) {
      *out = MakeSum(whole, MakeQuotient(std::move(a), std::move(b)));
      return true;
    }
    std::copy(saved.begin(), saved.end(), tokens_.begin() + begin);
  } else if (At(1).type == Tok::kNumber && At(1).spaced && At(2).Is('/') &&
             At(3).type == Tok::kNumber) {
    a = Node(Kind::kNumber, At(1).text);
    b = Node(Kind::kNumber, At(3).text);
    if (Proper(a, b)) {
      at_ += 4;
      *out = MakeSum(whole, MakeQuotient(std::move(a), std::move(b)));
      return true;
    }
  }
  at_ = begin;
  return false;
}

bool Parser::Proper(const Node& a, const Node& b) {
  if (!IsInteger(a) || !IsInteger(b)) return false;
  const std::string x = CanonicalDigits(a.text), y = CanonicalDigits(b.text);
  return x.size() < y.size() || (x.size() == y.size() && x < y);
}

bool Parser::Argument(Node* out) {
  Token& t = At();
  if (t.type == Tok::kNumber && t.text.size() > 1 && absl::ascii_isdigit(t.text[0]) &&
      t.text.find('.') == std::string::npos) {
    *out = Node(Kind::kNumber, t.text.substr(0, 1));
    t.text.erase(0, 1);
    return true;
  }
  return Operand(out);
}

bool Parser::Operand(Node* out) {
  const Depth depth(this);
  if (!depth.ok()) return false;
  const Token t = At();
  switch (t.type) {
    case Tok::kNumber:
      ++at_;
      *out = Node(Kind::kNumber, t.text);
      out->count = t.count;
      return true;
    case Tok::kBase:
      ++at_;
      *out = Node(Kind::kBase, t.text);
      out->count = t.count;
      return true;
    case Tok::kConstant:
      ++at_;
      if (At().Is('_')) {  // e_1 is a variable
        *out = Node(Kind::kSymbol, t.text);
        return Subscript(&out->text);
      }
      *out = Node(Kind::kConstant, t.text);
      return true;
    case Tok::kFunction:
      return Function(out);
    case Tok::kLetter:
      return Letter(out);
    case Tok::kWord:
      return Words(out);
    case Tok::kBegin:
      return Matrix(out);
    case Tok::kOp:
      break;
    default:
      return false;
  }
  ++at_;
  switch (t.op) {
    case '(':
    case '[':
    case '{':
    case 'A':
      --at_;
      return Brackets(out);
    case 'S':
      return Set(out);
    case '|':
      return Bars(out);
    case 'L':
      return Between('J', "floor", out);
    case 'C':
      return Between('D', "ceil", out);
    case 'R':
      return Root(out);
    case 'F': {
      Node a, b;
      if (!Argument(&a) || !Argument(&b)) return false;
      *out = MakeQuotient(std::move(a), std::move(b));
      return true;
    }
    case 'B':
      *out = Node(Kind::kCall, "binomial");
      return Argument(&out->children.emplace_back()) && Argument(&out->children.emplace_back());
    case 'o':
      *out = Node(Kind::kSymbol, "...");
      return true;
    default:
      return false;
  }
}

// (a), (a, b), [a, b), {a}, \langle a, b \rangle
bool Parser::Brackets(Node* out) {
  const char open = At().op;
  ++at_;
  const int bars = std::exchange(bars_, 0);
  const bool builder = std::exchange(in_builder_, false);
  Node inside;
  if (!List(&inside)) return false;
  bars_ = bars;
  in_builder_ = builder;
  const char close = At().op;
  if (open == '{') {
    if (!Take('}')) return false;
    *out = std::move(inside);
    return true;
  }
  if (open == 'A') {
    if (!Take('a')) return false;
  } else if (!Take(')') && !Take(']')) {
    return false;
  }
  if (!inside.Is(Kind::kList)) {
    *out = std::move(inside);
    return true;
  }
  *out = Node(Kind::kTuple);
  out->open = open == 'A' ? '<' : open;
  out->close = open == 'A' ? '>' : close;
  out->children = std::move(inside.children);
  return true;
}

bool Parser::Set(Node* out) {
  *out = Node(Kind::kSet);
  if (Take('s')) return true;
  if (At().type == Tok::kBegin) {  // \left\{\begin{array} ... \end{array}\right.
    if (!Matrix(out)) return false;
    out->text = "cases";
    Take('s');
    return true;
  }
  const int bars = std::exchange(bars_, 0);
  const bool builder = std::exchange(in_builder_, true);
  Node inside;
  if (!List(&inside)) return false;
  in_builder_ = builder;
  if (Take('|') || Take(':')) {
    *out = Node(Kind::kBuilder);
    out->children.push_back(std::move(inside));
    if (!List(&out->children.emplace_back())) return false;
  } else if (inside.Is(Kind::kList)) {
    out->children = std::move(inside.children);
  } else {
    out->children.push_back(std::move(inside));
  }
  bars_ = bars;
  return Take('s');
}

bool Parser::Bars(Node* out) {
  ++bars_;
  const bool builder = std::exchange(in_builder_, false);
  *out = Node(Kind::kCall, "abs");
  if (!Expression(kAdditive, &out->children.emplace_back())) return false;
  in_builder_ = builder;
  --bars_;
  return Take('|');
}

bool Parser::Between(char close, absl::string_view function, Node* out) {
  *out = Node(Kind::kCall, function);
  return Expression(kAdditive, &out->children.emplace_back()) && Take(close);
}

bool Parser::Root(Node* out) {
  *out = Node(Kind::kCall, "sqrt");
  Node index;
  bool has_index = false;
  if (Take('[')) {
    if (!Expression(kAdditive, &index) || !Take(']')) return false;
    has_index = true;
  }
  if (!Operand(&out->children.emplace_back())) return false;
  if (has_index) out->children.push_back(std::move(index));
  return true;
}

}  // namespace hone::math
