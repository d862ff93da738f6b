#pragma once

// Lean 4 source text as far as a policy needs to know it: where comments, strings and quoted names
// are, and the words between them.
//
// A scanner that disagrees with Lean about where a comment ends is a hole: "/-/- -/ axiom cheat"
// is code for one and a comment for the other. Therefore comments are not skipped but removed
// before Lean sees the text, and what is left must read the same whatever one takes for its
// comments and strings: strings hold plain text only, and no comment mark is anywhere.

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace hone::lean {

enum class TokenKind {
  kWord,    // [A-Za-z0-9_]+
  kQuoted,  // «name», a part of an identifier and never a keyword
  kString,  // "plain text"
  kSymbol,  // any other code point, alone
};

struct Token {
  TokenKind kind;
  absl::string_view text;  // in the scanned text, quotes included
  bool joined = false;     // nothing stands between it and the token before
};

// `code` with every comment (line, block, nested, documentation) turned into spaces, so that all
// else keeps its line and column, and with \r\n as \n. INVALID_ARGUMENT, with the line, for what
// could be read in two ways: a comment without an end, strings with a backslash, brace, quote or
// line end in them, raw and interpolated strings, quoted names with anything but letters, digits,
// '_' and '.', control characters, bytes that are not UTF-8. Linear.
absl::StatusOr<std::string> RemoveComments(absl::string_view code);

// The tokens of a text that RemoveComments has made.
std::vector<Token> Tokenize(absl::string_view code);

// The line of `at`, a position in `code`, from 1.
int64_t LineOf(absl::string_view code, const char* at);

// INVALID_ARGUMENT, with the line and the construct, when the tokens of `code` use anything that
// can prove falsehoods, run programs while Lean reads it, or change what later text means: axioms,
// sorry, native evaluation, meta-programs, syntax, options and attributes outside the lists in
// policy.cc.
absl::Status CheckPolicy(absl::string_view code, const std::vector<Token>& tokens);

}  // namespace hone::lean
