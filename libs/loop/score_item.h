#pragma once

#include "absl/strings/string_view.h"
#include "proto/hone/v1/reward.pb.h"

namespace hone {

// What scorers are shown of a completion. `rendered`: the prompt as the model saw it. Scorers see
// prompt.text, which with a chat template is the user's message alone; so where the template opens
// the thoughts ("...<think>\n"), the tag is put before the completion, which then reads as a whole.
v1::ScoreItem MakeScoreItem(const v1::Prompt& prompt, absl::string_view rendered,
                            const v1::Completion& completion);

}  // namespace hone
