#pragma once

// A chat template after parsing. Internal to libs/chat.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/chat/value.h"

namespace hone {

// The text of a template, which turns places in it into messages.
struct TemplateSource {
  std::string name;
  std::string text;
  // "name:line:column: what"; columns count characters from 1.
  absl::Status Error(size_t offset, absl::string_view what,
                     absl::StatusCode code = absl::StatusCode::kInvalidArgument) const;
};

struct Expression {
  enum class Kind {
    kConstant,     // value
    kName,         // name
    kList,         // operands
    kDict,         // operands: key, value, key, value, ...
    kAttribute,    // operands[0].name
    kItem,         // operands[0][operands[1]]
    kSlice,        // operands[0][operands[1]:operands[2]:operands[3]], null where left out
    kCall,         // operands[0](operands[1..], keywords)
    kMethod,       // operands[0].name(operands[1..], keywords)
    kFilter,       // operands[0] | name(operands[1..], keywords)
    kTest,         // operands[0] is name(operands[1..])
    kNot,          // operands[0]
    kNegative,     // -operands[0]
    kAnd,          // operands[0] and operands[1]
    kOr,           // operands[0] or operands[1]
    kArithmetic,   // operands[0] name operands[1]; name: + - * / // % ~
    kComparison,   // operands[0] op operands[1] op operands[2] ...; operators
    kConditional,  // operands[1] if operands[0] else operands[2] (may be null)
  };
  Kind kind;
  size_t offset = 0;  // where it stands in the template
  int depth = 1;      // of the tree below: bounds recursion
  std::string name;
  Value value;
  std::vector<std::unique_ptr<Expression>> operands;
  std::vector<std::pair<std::string, std::unique_ptr<Expression>>> keywords;
  std::vector<std::string> operators;  // == != < <= > >= in "not in"
};
using ExpressionPtr = std::unique_ptr<Expression>;

struct Statement;
using Body = std::vector<Statement>;

// What `for` and `set` assign to: names, or an attribute of a namespace.
struct Target {
  std::vector<std::string> names;  // more than one: the value is unpacked
  std::string attribute;           // names[0].attribute
};

struct Macro {
  std::string name;
  std::vector<std::pair<std::string, ExpressionPtr>> parameters;  // with their default, or null
  Body body;
};

struct Statement {
  enum class Kind {
    kText,        // text
    kOutput,      // expression
    kIf,          // branches in order; a null condition is `else`
    kFor,         // target in expression if condition: body, otherwise
    kSet,         // target = expression
    kSetBlock,    // target = what body writes, through filters (expression over the name "")
    kMacro,       // macro
    kGeneration,  // body: what the model said
    kBreak,
    kContinue,
  };
  struct Branch;
  Kind kind;
  size_t offset = 0;
  Text text;
  ExpressionPtr expression;
  ExpressionPtr condition;
  Target target;
  Body body;
  Body otherwise;
  std::vector<Branch> branches;
  std::unique_ptr<Macro> macro;
};
struct Statement::Branch {
  ExpressionPtr condition;
  Body body;
};

struct Token {
  enum class Kind {
    kText,
    kOpenOutput,
    kCloseOutput,
    kOpenBlock,
    kCloseBlock,
    kName,
    kString,
    kInteger,
    kFloat,
    kOperator,
    kEnd,
  };
  Kind kind;
  std::string text;
  size_t offset;
};

// White space as transformers sets Jinja up: trim_blocks, lstrip_blocks, one newline at the end
// dropped. The last token is kEnd.
absl::StatusOr<std::vector<Token>> Tokenize(const TemplateSource& source);

// INVALID_ARGUMENT with the place for what is not of the subset.
absl::StatusOr<Body> ParseTemplate(const TemplateSource& source);

}  // namespace hone
