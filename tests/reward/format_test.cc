#include "tests/reward/items.h"
#include "tests/testing/test.h"

namespace hone::testing {
namespace {

const char kR1Zero[] = R"({"scorers": [{"name": "format"}]})";
const char kThink[] = R"({"scorers": [{"name": "format", "options": {"template": "think"}}]})";

TEST_CASE("r1_zero takes one pair of each tag, in order, with nothing around them", "[reward]") {
  const RewardFunction f = Function(kR1Zero);
  for (const char* good : {
           "<think>a</think><answer>1</answer>",
           "<think></think><answer>1</answer>",
           "  <think>\nline\nline\n</think>\n<answer>\nx < 3 and y<4\n</answer>\n",
           "<think>a < b, <b>bold</b>, <eos></think><answer>1<2</answer>",
           "<think>\xff\xfe</think><answer>\xf0\x28</answer>",
       }) {
    INFO(good);
    CHECK(Said(f.Score(Item(good))) == "SCORED 1");
    CHECK(f.Score(Item(good)).correct());
  }
}

TEST_CASE("r1_zero rejects what is missing, doubled, nested, out of order or blank", "[reward]") {
  const RewardFunction f = Function(kR1Zero);
  for (const char* bad : {
           "",
           "1",
           "<think>a</think>",
           "<think>a</think><answer>1",
           "<answer>1</answer>",
           "<answer>1</answer><think>a</think>",
           "<think>a<answer>1</answer></think>",
           "<think>a<think>b</think></think><answer>1</answer>",
           "<think>a</think><think>b</think><answer>1</answer>",
           "<think>a</think><answer>1</answer><answer>2</answer>",
           "<think>a</think><answer><answer>1</answer></answer>",
           "<think>so <answer> it is</think><answer>1</answer>",
           "<think>a</think><answer></answer>",
           "<think>a</think><answer> \n\t</answer>",
           "<think>a</think> hence <answer>1</answer>",
           "Sure! <think>a</think><answer>1</answer>",
           "<think>a</think><answer>1</answer> Hope this helps",
           "<think>a</think><answer>1<eos></answer>",
           "<think>a</think><answer>1<|im_end|></answer>",
           "<Think>a</Think><Answer>1</Answer>",
           "< think>a</think><answer>1</answer>",
           "a</think><answer>1</answer>",
       }) {
    INFO(bad);
    const v1::Verdict verdict = f.Score(Item(bad));
    CHECK(Said(verdict) == "SCORED 0");
    CHECK_FALSE(verdict.correct());
    CHECK_FALSE(verdict.parts(0).reason().empty());
  }
}

TEST_CASE("a prompt that opens the thoughts takes a completion that starts inside them",
          "[reward]") {
  const char* prompt = R"({"text": "Assistant: <think>\n"})";
  CHECK(Said(Function(kR1Zero).Score(Item("a</think><answer>1</answer>", prompt))) == "SCORED 1");
  CHECK(Said(Function(kR1Zero).Score(Item("<think>a</think><answer>1</answer>", prompt))) ==
        "SCORED 1");
  CHECK(Said(Function(kR1Zero).Score(Item("<answer>1</answer>", prompt))) == "SCORED 0");
  CHECK(Said(Function(kThink).Score(Item("a</think>1", prompt))) == "SCORED 1");
}

TEST_CASE("think takes thoughts and then an answer", "[reward]") {
  const RewardFunction f = Function(kThink);
  CHECK(Said(f.Score(Item("<think>a</think>The answer"))) == "SCORED 1");
  CHECK(Said(f.Score(Item("\n<think>\na\n</think>\n\n1"))) == "SCORED 1");
  CHECK(Said(f.Score(Item("a</think>1"))) == "SCORED 0");
  CHECK(Said(f.Score(Item("x<think>a</think>1"))) == "SCORED 0");
  CHECK(Said(f.Score(Item("<think>a"))) == "SCORED 0");
  CHECK(Said(f.Score(Item("<think>a</think> \n"))) == "SCORED 0");
  CHECK(Said(f.Score(Item("<think>a</think>b</think>c"))) == "SCORED 0");
  CHECK(Said(f.Score(Item("<think>a<think>b</think>c"))) == "SCORED 0");
}

TEST_CASE("a completion that was cut off has no form", "[reward]") {
  const std::string text = "<think>a</think><answer>1</answer>";
  for (const char* spec : {kR1Zero, kThink}) {
    CHECK(Said(Function(spec).Score(Item(text))) == "SCORED 1");
    CHECK(Said(Function(spec).Score(Item(text, "{}", v1::FINISH_REASON_LENGTH))) == "SCORED 0");
  }
}

TEST_CASE("special tokens around a completion are not part of it", "[reward]") {
  const std::string body = "<think>a</think><answer>1</answer>";
  const RewardFunction f = Function(kR1Zero);
  for (const char* end :
       {"<|im_end|>", "<|eot_id|>", "</s>", "<eos>", "<end_of_turn>",
        "<\uff5cend\u2581of\u2581sentence\uff5c>", "<|im_end|>\n<|endoftext|>\n"}) {
    INFO(end);
    CHECK(Said(f.Score(Item(body + end))) == "SCORED 1");
    CHECK(Said(Function(kThink).Score(Item("<think>a</think>1" + std::string(end)))) == "SCORED 1");
    // Nothing but the token is no answer.
    CHECK(Said(Function(kThink).Score(Item("<think>a</think>" + std::string(end)))) == "SCORED 0");
  }
  for (const char* begin : {"<s>", "<bos>", "<|begin_of_text|>", "<|im_start|>"})
    CHECK(Said(f.Score(Item(begin + body))) == "SCORED 1");
  // Not just anything in such brackets.
  for (const char* no :
       {"<|im end|>", "<||>", "<|a", "|>", "<|a<|b|>x", "<b>", "<eos", "</answer>"})
    CHECK(Said(f.Score(Item(body + no))) == "SCORED 0");
}

TEST_CASE("strict newlines want every tag on a line of its own", "[reward]") {
  const RewardFunction zero =
      Function(R"({"scorers": [{"name": "format", "options": {"newlines": "strict"}}]})");
  CHECK(Said(zero.Score(Item("<think>\na\n</think>\n<answer>\n1\n</answer>"))) == "SCORED 1");
  CHECK(Said(zero.Score(Item("<think>\na\n</think>\n\n<answer>\n1\n</answer>\n<|im_end|>"))) ==
        "SCORED 1");
  CHECK(Said(zero.Score(Item("a\n</think>\n<answer>\n1\n</answer>",
                             R"({"text": "Assistant: <think>\n"})"))) == "SCORED 1");
  for (const char* bad :
       {"<think>a\n</think>\n<answer>\n1\n</answer>", "<think>\na</think>\n<answer>\n1\n</answer>",
        "<think>\na\n</think> <answer>\n1\n</answer>", "<think>\na\n</think>\n<answer>1\n</answer>",
        "<think>\na\n</think>\n<answer>\n1</answer>"}) {
    INFO(bad);
    CHECK(Said(zero.Score(Item(bad))) == "SCORED 0");
    CHECK(Said(Function(kR1Zero).Score(Item(bad))) == "SCORED 1");
  }
  const RewardFunction think = Function(
      R"({"scorers": [{"name": "format", "options": {"template": "think", "newlines": "strict"}}]})");
  CHECK(Said(think.Score(Item("<think>\na <answer> b\n</think>\n\n1"))) == "SCORED 1");
  CHECK(Said(think.Score(Item("<think>\na\n</think> 1"))) == "SCORED 0");
  CHECK(Said(think.Score(Item("<think> a\n</think>\n1"))) == "SCORED 0");
  CHECK(Said(think.Score(Item("<think>\na</think>\n1"))) == "SCORED 0");
}

}  // namespace
}  // namespace hone::testing
