// Functions, variables, matrices and words.

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "libs/reward/math/parser_class.h"

namespace hone::math {

bool Parser::Function(Node* out) {
  const std::string name = At().text;
  ++at_;
  Node exponent, base;
  bool has_exponent = false, has_base = false;
  for (int i = 0; i < 2; ++i) {
    if (!has_exponent && Take('^')) {
      has_exponent = true;
      if (!ExponentOf(&exponent)) return false;
    } else if (!has_base && Take('_')) {
      has_base = true;
      if (!Operand(&base)) return false;
    }
  }
  *out = Node(Kind::kCall, name);
  const bool brackets = At().Is('(') || At().Is('{') || At().Is('|') || At().Is('[');
  Node argument;
  if (brackets ? !Operand(&argument) : !Expression(kImplicit, &argument)) return false;
  if (argument.Is(Kind::kTuple) || argument.Is(Kind::kList))
    out->children = std::move(argument.children);
  else
    out->children.push_back(std::move(argument));
  if (has_base) {
    if (name != "log") return false;
    out->children.push_back(std::move(base));
  }
  if (name == "cbrt") {
    out->text = "sqrt";
    out->children.push_back(MakeNumber(3));
  }
  if (!has_exponent) return true;
  const bool inverse =
      exponent.Is(Kind::kNegate) && IsInteger(exponent[0]) && exponent[0].text == "1";
  if (inverse && out->children.size() == 1 &&
      (name == "sin" || name == "cos" || name == "tan" || name == "cot" || name == "sec" ||
       name == "csc")) {
    out->text = absl::StrCat("arc", name);
    return true;
  }
  Node power(Kind::kPower);
  power.children.push_back(std::move(*out));
  power.children.push_back(std::move(exponent));
  *out = std::move(power);
  return true;
}

// _1, _{max}, _{n+1}: part of the name.
bool Parser::Subscript(std::string* name) {
  if (!Take('_')) return true;
  *name += '_';
  if (!At().Is('{')) {
    if (At().type == Tok::kEnd || At().type == Tok::kOp) return false;
    *name += At().text;
    ++at_;
    return true;
  }
  int depth = 0;
  do {
    const Token& t = At();
    if (t.type == Tok::kEnd) return false;
    if (t.Is('{'))
      ++depth;
    else if (t.Is('}'))
      --depth;
    else if (t.type == Tok::kOp)
      *name += t.op;
    else
      *name += t.text;
    ++at_;
  } while (depth > 0);
  return true;
}

bool Parser::Letter(Node* out) {
  *out = Node(Kind::kSymbol, At().text);
  ++at_;
  if (!Subscript(&out->text)) return false;
  bool primed = false;
  while (Take('\'')) {
    out->text += '\'';
    primed = true;
  }
  if (At().Is('^') && At(1).Is('{') && At(2).Is('\'') && At(3).Is('}')) {
    at_ += 4;
    out->text += '\'';
    primed = true;
  }
  const bool function =
      primed || std::find(functions_.begin(), functions_.end(), out->text) != functions_.end();
  if (!function || !At().Is('(')) return true;
  Node arguments;
  if (!Brackets(&arguments)) return false;
  out->kind = Kind::kApply;
  if (arguments.Is(Kind::kTuple))
    out->children = std::move(arguments.children);
  else
    out->children.push_back(std::move(arguments));
  return true;
}

bool Parser::Matrix(Node* out) {
  const std::string environment = At().text;
  ++at_;
  *out = Node(Kind::kMatrix);
  if (environment == "vmatrix" || environment == "Vmatrix")
    out->text = "v";
  else if (environment == "cases")
    out->text = "cases";
  else if (environment.find("matrix") == environment.npos && environment != "array")
    return false;
  const bool builder = std::exchange(in_builder_, false);
  const int bars = std::exchange(bars_, 0);
  int columns = 0, column = 0;
  while (At().type != Tok::kEndEnv) {
    const size_t begin = at_;
    Node cell;
    if (!List(&cell)) {
      // The conditions of cases are often prose.
      if (out->text != "cases") return false;
      at_ = begin;
      cell = Node(Kind::kText);
      while (!At().Is('&') && !At().Is('N') && At().type != Tok::kEndEnv &&
             At().type != Tok::kEnd) {
        if (At().type == Tok::kOp)
          cell.text += At().op;
        else
          cell.text += absl::AsciiStrToLower(At().text);
        ++at_;
      }
    }
    out->children.push_back(std::move(cell));
    ++column;
    if (Take('&')) continue;
    // The end of a row; rows of different lengths are no matrix.
    if (columns == 0) columns = column;
    if (column != columns) return false;
    column = 0;
    while (Take('N')) {
    }
    if (At().type == Tok::kEnd) return false;
  }
  ++at_;
  in_builder_ = builder;
  bars_ = bars;
  out->count = columns;
  return columns > 0;
}

// Words where an operand is due: the name of a quantity ("Area = 5"), or an answer in a list.
bool Parser::Words(Node* out) {
  if (Connective(At())) return false;
  *out = Node(Kind::kSymbol);
  while (At().type == Tok::kWord && !Connective(At())) {
    if (!out->text.empty()) out->text += ' ';
    out->text += absl::AsciiStrToLower(At().text);
    ++at_;
  }
  return true;
}

}  // namespace hone::math
