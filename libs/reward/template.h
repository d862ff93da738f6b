#pragma once

// The shape of a reasoning completion: thoughts in <think> tags, then an answer. A linear scanner,
// not a regular expression: no backtracking, no surprises with line ends.

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "proto/hone/v1/reward.pb.h"

namespace hone {

enum class Template {
  kNone,    // any text
  kR1Zero,  // <think>thoughts</think><answer>answer</answer> and nothing more
  kThink,   // <think>thoughts</think>answer
};

// "none", "r1_zero", "think": the option values, in the order of the enum.
const std::vector<std::string>& TemplateNames();
Template TemplateByName(absl::string_view name);  // one of TemplateNames()

// What became of matching a completion with a template.
struct TemplateMatch {
  bool ok = false;
  absl::string_view answer;  // where ok: what the answer tags hold, or what follows the thoughts
  absl::string_view why;     // where not ok: for people; a literal
};

// `opened`: the prompt's own text ends in <think>, so that the completion starts inside it.
// kR1Zero: each of the four tags exactly once and in order; white space alone may stand before,
// between and after the two pairs; the answer is not blank and holds nothing that looks like a tag
// or a special token. kThink: at most one <think>, at the start; one </think>; something other than
// white space after it.
TemplateMatch MatchTemplate(Template kind, absl::string_view text, bool opened);

// As above, for an item, without the special tokens at its ends. A completion that was cut off
// (FINISH_REASON_LENGTH) never matches a template other than kNone.
TemplateMatch MatchTemplate(Template kind, const v1::ScoreItem& item);

// `text` without the special tokens that stand before and after it, with white space around them:
// <|im_end|> and others of that form, also with DeepSeek's full-width bars, <s>, </s>, <bos>,
// <eos>, <pad>, <start_of_turn>, <end_of_turn>. They belong to the chat, not to what was said;
// inside a text they stay, because there they are wrong.
absl::string_view StripSpecialTokens(absl::string_view text);

// Whether every tag of `text`, which matches `kind`, stands on a line of its own, as DeepSeek-R1's
// templates print them: "<think>\nthoughts\n</think>\n<answer>\nanswer\n</answer>" and
// "<think>\nthoughts\n</think>\n\nanswer".
bool TagsOnOwnLines(Template kind, absl::string_view text);

// The thoughts of an item: what stands before the last </think>, without the tags and special
// tokens. Where there is no </think>: all of it.
absl::string_view Thoughts(const v1::ScoreItem& item);

// Whether the item's prompt ends in <think> (white space apart).
bool ThinkingOpened(const v1::ScoreItem& item);

// What follows the last </think>; all of it where there are no think tags. Nothing where the
// thoughts were opened and never closed: half a thought has no answer.
std::optional<absl::string_view> AfterThinking(const v1::ScoreItem& item);

// What the last complete <answer>...</answer> of `text` holds.
std::optional<absl::string_view> LastAnswer(absl::string_view text);

}  // namespace hone
