#pragma once

// Files of completions that somebody wants judged.

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/buffer/prompt_lines.h"
#include "proto/hone/v1/reward.pb.h"

namespace hone::cli {

// Where things are in a line. Each line is a JSON object: a prompt (libs/buffer/prompt_lines.h, its
// text may be missing) and one completion or a list of them. A completion is a text, or an object
// with `text` and perhaps `finish_reason` and `token_ids` (also in lower camel case), as in the
// groups that `hone eval --save` writes.
struct CompletionFields {
  PromptFields prompt;
  std::string completion;  // "": the first that is there of completion, completions, response
  std::string label;       // right or wrong, per completion or for all of the line; "": none
};

struct FileCompletion {
  v1::ScoreItem item;
  int64_t line = 0;          // 1-based
  int32_t sample_index = 0;  // in its line
  std::optional<bool> label;
};

// The completions of `path` ("-": the standard input). `prompts`: a prompt file; the prompt of each
// line is the one of the same id there. INVALID_ARGUMENT, with "file:line: what" for up to 20 bad
// lines.
absl::StatusOr<std::vector<FileCompletion>> ReadCompletions(const std::string& path,
                                                            const CompletionFields& fields,
                                                            const std::string& prompts);

// Lines of a file of at most 1 GiB, the last one ended; "-": the standard input.
absl::StatusOr<std::string> ReadLines(const std::string& path);

}  // namespace hone::cli
