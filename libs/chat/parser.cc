#include "libs/chat/parser.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "libs/base/status.h"

namespace hone {
namespace {

constexpr int kMaxBlocks = 64;  // nested

// What a token is called in messages.
std::string Shown(const Token& t) {
  switch (t.kind) {
    case Token::Kind::kText:
      return "text";
    case Token::Kind::kOpenOutput:
      return "{{";
    case Token::Kind::kCloseOutput:
      return "}}";
    case Token::Kind::kOpenBlock:
      return "{%";
    case Token::Kind::kCloseBlock:
      return "%}";
    case Token::Kind::kEnd:
      return "the end of the template";
    default:
      return absl::StrCat("\"", t.text.substr(0, 40), "\"");
  }
}

}  // namespace

bool Parser::TakeOperator(absl::string_view op) {
  if (!IsOperator(op)) return false;
  ++at_;
  return true;
}

bool Parser::TakeName(absl::string_view name) {
  if (!IsName(name)) return false;
  ++at_;
  return true;
}

absl::Status Parser::Unexpected(absl::string_view expected) const {
  return source_.Error(Peek().offset,
                       absl::StrCat("expected ", expected, ", found ", Shown(Peek())));
}

absl::Status Parser::Expect(absl::string_view op) {
  return TakeOperator(op) ? absl::OkStatus() : Unexpected(absl::StrCat("\"", op, "\""));
}

absl::StatusOr<std::string> Parser::ExpectName() {
  if (Peek().kind != Token::Kind::kName) return Unexpected("a name");
  return tokens_[at_++].text;
}

absl::Status Parser::CloseBlock() {
  if (Peek().kind != Token::Kind::kCloseBlock) return Unexpected("%}");
  ++at_;
  return absl::OkStatus();
}

absl::StatusOr<Body> Parser::Template() {
  std::string end;
  return ParseBody({}, &end);
}

absl::StatusOr<Body> Parser::ParseBody(std::initializer_list<absl::string_view> ends,
                                       std::string* end) {
  Body body;
  const size_t start = Peek().offset;
  while (Peek().kind != Token::Kind::kEnd) {
    Statement s;
    s.offset = Peek().offset;
    if (Peek().kind == Token::Kind::kText) {
      s.kind = Statement::Kind::kText;
      s.text = Text(tokens_[at_++].text);
      body.push_back(std::move(s));
    } else if (Peek().kind == Token::Kind::kOpenOutput) {
      ++at_;
      s.kind = Statement::Kind::kOutput;
      HONE_ASSIGN_OR_RETURN(s.expression, Tuple());
      if (Peek().kind != Token::Kind::kCloseOutput) return Unexpected("}}");
      ++at_;
      body.push_back(std::move(s));
    } else {
      ++at_;  // an open block: nothing else stands outside of tags
      HONE_ASSIGN_OR_RETURN(const std::string name, ExpectName());
      if (std::find(ends.begin(), ends.end(), name) != ends.end()) {
        *end = name;
        return body;
      }
      if (depth_ >= kMaxBlocks)
        return source_.Error(s.offset, absl::StrCat("blocks nested deeper than ", kMaxBlocks));
      ++depth_;
      const absl::Status status = ParseBlock(name, s.offset, &body);
      --depth_;
      HONE_RETURN_IF_ERROR(status);
    }
  }
  if (ends.size() > 0)
    return source_.Error(start, absl::StrCat("block without ", absl::StrJoin(ends, " or ")));
  return body;
}

absl::Status Parser::ParseBlock(const std::string& name, size_t offset, Body* body) {
  Statement s;
  s.offset = offset;
  std::string end;
  if (name == "if") {
    HONE_RETURN_IF_ERROR(ParseIf(&s));
  } else if (name == "for") {
    HONE_RETURN_IF_ERROR(ParseFor(&s));
  } else if (name == "set") {
    HONE_RETURN_IF_ERROR(ParseSet(&s));
  } else if (name == "macro") {
    HONE_RETURN_IF_ERROR(ParseMacro(&s));
  } else if (name == "generation") {
    s.kind = Statement::Kind::kGeneration;
    HONE_RETURN_IF_ERROR(CloseBlock());
    HONE_ASSIGN_OR_RETURN(s.body, ParseBody({"endgeneration"}, &end));
    HONE_RETURN_IF_ERROR(CloseBlock());
  } else if (name == "break" || name == "continue") {
    if (loops_ == 0) return source_.Error(offset, absl::StrCat(name, " outside of a loop"));
    s.kind = name == "break" ? Statement::Kind::kBreak : Statement::Kind::kContinue;
    HONE_RETURN_IF_ERROR(CloseBlock());
  } else {
    return source_.Error(
        offset, absl::StrCat("block \"", name,
                             "\" is not supported here, expected if, for, set, macro, generation, "
                             "break or continue"));
  }
  body->push_back(std::move(s));
  return absl::OkStatus();
}

absl::Status Parser::ParseIf(Statement* s) {
  s->kind = Statement::Kind::kIf;
  std::string end = "if";
  while (end != "endif") {
    Statement::Branch branch;
    if (end != "else") {
      HONE_ASSIGN_OR_RETURN(branch.condition, Tuple());
    }
    HONE_RETURN_IF_ERROR(CloseBlock());
    if (end == "else") {
      HONE_ASSIGN_OR_RETURN(branch.body, ParseBody({"endif"}, &end));
    } else {
      HONE_ASSIGN_OR_RETURN(branch.body, ParseBody({"elif", "else", "endif"}, &end));
    }
    s->branches.push_back(std::move(branch));
  }
  return CloseBlock();
}

absl::StatusOr<Target> Parser::ParseTarget(bool attribute_allowed) {
  Target target;
  const bool parenthesis = TakeOperator("(");
  do {
    if (!target.names.empty() && Peek().kind != Token::Kind::kName) break;  // trailing comma
    const size_t offset = Peek().offset;
    HONE_ASSIGN_OR_RETURN(std::string name, ExpectName());
    for (const absl::string_view keyword : {"true", "false", "none", "not", "in", "if", "else"})
      if (name == keyword)
        return source_.Error(offset, absl::StrCat("cannot assign to \"", name, "\""));
    target.names.push_back(std::move(name));
  } while (TakeOperator(","));
  if (parenthesis) HONE_RETURN_IF_ERROR(Expect(")"));
  if (attribute_allowed && target.names.size() == 1 && TakeOperator(".")) {
    HONE_ASSIGN_OR_RETURN(target.attribute, ExpectName());
  }
  return target;
}

absl::Status Parser::ParseFor(Statement* s) {
  s->kind = Statement::Kind::kFor;
  HONE_ASSIGN_OR_RETURN(s->target, ParseTarget(false));
  if (!TakeName("in")) return Unexpected("in");
  // Not Tuple(): the `if` behind it is the loop's filter.
  HONE_ASSIGN_OR_RETURN(s->expression, Or());
  if (TakeName("if")) {
    HONE_ASSIGN_OR_RETURN(s->condition, Conditional());
  }
  if (IsName("recursive")) return Unexpected("%} (recursive loops are not supported)");
  HONE_RETURN_IF_ERROR(CloseBlock());
  std::string end;
  ++loops_;
  auto body = ParseBody({"else", "endfor"}, &end);
  --loops_;
  HONE_ASSIGN_OR_RETURN(s->body, std::move(body));
  if (end == "else") {
    HONE_RETURN_IF_ERROR(CloseBlock());
    HONE_ASSIGN_OR_RETURN(s->otherwise, ParseBody({"endfor"}, &end));
  }
  return CloseBlock();
}

absl::Status Parser::ParseSet(Statement* s) {
  HONE_ASSIGN_OR_RETURN(s->target, ParseTarget(true));
  if (TakeOperator("=")) {
    s->kind = Statement::Kind::kSet;
    HONE_ASSIGN_OR_RETURN(s->expression, Tuple());
    return CloseBlock();
  }
  s->kind = Statement::Kind::kSetBlock;
  if (IsOperator("|")) {
    // Filters over what the body writes, which stands as a name that no template can spell.
    HONE_ASSIGN_OR_RETURN(s->expression, Filters(Make(Expression::Kind::kName, Peek().offset)));
  }
  HONE_RETURN_IF_ERROR(CloseBlock());
  std::string end;
  HONE_ASSIGN_OR_RETURN(s->body, ParseBody({"endset"}, &end));
  return CloseBlock();
}

absl::Status Parser::ParseMacro(Statement* s) {
  s->kind = Statement::Kind::kMacro;
  s->macro = std::make_unique<Macro>();
  HONE_ASSIGN_OR_RETURN(s->macro->name, ExpectName());
  HONE_RETURN_IF_ERROR(Expect("("));
  while (!TakeOperator(")")) {
    if (!s->macro->parameters.empty()) HONE_RETURN_IF_ERROR(Expect(","));
    HONE_ASSIGN_OR_RETURN(std::string name, ExpectName());
    ExpressionPtr fallback;
    if (TakeOperator("=")) {
      HONE_ASSIGN_OR_RETURN(fallback, Conditional());
    }
    s->macro->parameters.emplace_back(std::move(name), std::move(fallback));
  }
  HONE_RETURN_IF_ERROR(CloseBlock());
  std::string end;
  const int loops = std::exchange(loops_, 0);
  auto body = ParseBody({"endmacro"}, &end);
  loops_ = loops;
  HONE_ASSIGN_OR_RETURN(s->macro->body, std::move(body));
  return CloseBlock();
}

absl::StatusOr<Body> ParseTemplate(const TemplateSource& source) {
  HONE_ASSIGN_OR_RETURN(std::vector<Token> tokens, Tokenize(source));
  return Parser(source, std::move(tokens)).Template();
}

}  // namespace hone
