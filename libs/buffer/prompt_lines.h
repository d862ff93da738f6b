#pragma once

// JSON lines to prompts.

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "proto/hone/v1/trajectory.pb.h"

namespace hone {

// Other names of the fields, for files that were not made for us. A field that is named here in
// the place of another leaves the other to `metadata`.
struct PromptFields {
  std::string prompt = "prompt";
  std::string answer = "answer";
  std::string id = "id";
  bool prompt_required = true;
};

// One prompt from one line. Fields: `prompt` or `text` (string) or `messages` (list of {role,
// content, ...}, also under the name `prompt`), one of them required; `id` (string or integer;
// default: `line`), `answer` (string, number or boolean, kept as written), `response` (string);
// every other field goes to `metadata`. INVALID_ARGUMENT says what is wrong, without naming the
// line. Numbers in metadata become doubles: integers beyond 2^53 lose digits there.
absl::StatusOr<v1::Prompt> ParsePromptLine(absl::string_view json, int64_t line,
                                           const PromptFields& fields = {});

struct PromptLine {
  int64_t line;  // 1-based, blank ones counted
  v1::Prompt prompt;
};
struct LineError {
  int64_t line;
  std::string message;
};
// Parses whole lines, each ended by a newline; blank ones are skipped. `first_line` is the number
// of the first one. Stops looking after 20 errors.
struct ParsedLines {
  std::vector<PromptLine> prompts;
  std::vector<LineError> errors;
  int64_t lines = 0;
};
ParsedLines ParsePromptLines(absl::string_view lines, int64_t first_line,
                             const PromptFields& fields = {});

}  // namespace hone
