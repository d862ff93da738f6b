#include "libs/loop/score_item.h"

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace hone {
namespace {

constexpr absl::string_view kThink = "<think>";

bool Opens(absl::string_view text) {
  return absl::EndsWith(absl::StripTrailingAsciiWhitespace(text), kThink);
}

}  // namespace

v1::ScoreItem MakeScoreItem(const v1::Prompt& prompt, absl::string_view rendered,
                            const v1::Completion& completion) {
  v1::ScoreItem item;
  *item.mutable_prompt() = prompt;
  if (Opens(rendered) && !Opens(prompt.text()))
    item.set_completion(absl::StrCat(rendered.substr(rendered.rfind(kThink)), completion.text()));
  else
    item.set_completion(completion.text());
  item.set_finish_reason(completion.finish_reason());
  item.set_completion_tokens(completion.token_ids_size());
  return item;
}

}  // namespace hone
