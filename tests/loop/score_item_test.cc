#include "libs/loop/score_item.h"

#include "tests/testing/test.h"

namespace hone::testing {
namespace {

TEST_CASE("a completion is shown to scorers with the tag that the chat template opened", "[loop]") {
  v1::Completion completion;
  completion.set_text("a\n</think>\n1");
  completion.set_finish_reason(v1::FINISH_REASON_LENGTH);
  completion.add_token_ids(1);
  completion.add_token_ids(2);
  v1::Prompt prompt;
  prompt.set_text("1+1?");
  prompt.set_answer("2");
  const v1::ScoreItem chat =
      MakeScoreItem(prompt, "<|User|>1+1?<|Assistant|><think>\n", completion);
  CHECK(chat.completion() == "<think>\na\n</think>\n1");
  CHECK(chat.prompt().answer() == "2");
  CHECK(chat.finish_reason() == v1::FINISH_REASON_LENGTH);
  CHECK(chat.completion_tokens() == 2);
  // Nothing opened: as it is.
  CHECK(MakeScoreItem(prompt, "<|User|>1+1?<|Assistant|>", completion).completion() ==
        completion.text());
  // The prompt's own text says so: scorers see that.
  prompt.set_text("Assistant: <think>\n");
  CHECK(MakeScoreItem(prompt, prompt.text(), completion).completion() == completion.text());
}

}  // namespace
}  // namespace hone::testing
