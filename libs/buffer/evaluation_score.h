#pragma once

// The arithmetic of evaluations.

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "proto/hone/v1/storage.pb.h"
#include "proto/hone/v1/trajectory.pb.h"

namespace hone {

// What stands between the last <answer> and the </answer> after it, else the whole text; without
// the white space around it. Points into `text`.
absl::string_view AnswerOf(absl::string_view text);

// Completions whose verdict carries no score count in `completions` only.
v1::PromptScore ScorePrompt(const v1::Group& group);

// Fills the results (pass_at_1 .. unscored, prompts_done) of `evaluation` from its prompts.
void Aggregate(const std::vector<v1::PromptScore>& prompts, v1::Evaluation* evaluation);

}  // namespace hone
