#include "libs/buffer/evaluation_score.h"

#include <algorithm>
#include <map>

#include "absl/strings/ascii.h"

namespace hone {
namespace {

bool Scored(const v1::Verdict& v) {
  return v.outcome() == v1::OUTCOME_SCORED || v.outcome() == v1::OUTCOME_UNPARSED;
}

bool WellFormed(const v1::Verdict& v) {
  return v.outcome() == v1::OUTCOME_SCORED &&
         std::none_of(v.parts().begin(), v.parts().end(),
                      [](const v1::ScorePart& p) { return p.outcome() == v1::OUTCOME_UNPARSED; });
}

double Ratio(double sum, int64_t of) {
  return of == 0 ? 0 : sum / static_cast<double>(of);
}

}  // namespace

absl::string_view AnswerOf(absl::string_view text) {
  constexpr absl::string_view kOpen = "<answer>";
  constexpr absl::string_view kClose = "</answer>";
  if (const size_t open = text.rfind(kOpen); open != absl::string_view::npos) {
    const absl::string_view inside = text.substr(open + kOpen.size());
    if (const size_t close = inside.find(kClose); close != absl::string_view::npos)
      return absl::StripAsciiWhitespace(inside.substr(0, close));
  }
  return absl::StripAsciiWhitespace(text);
}

v1::PromptScore ScorePrompt(const v1::Group& group) {
  struct Votes {
    int64_t all = 0;
    int64_t correct = 0;
  };
  std::map<absl::string_view, Votes> votes;
  v1::PromptScore s;
  for (const v1::Completion& c : group.completions()) {
    s.set_completions(s.completions() + 1);
    s.set_tokens(s.tokens() + c.token_ids_size());
    s.set_truncated(s.truncated() + (c.finish_reason() == v1::FINISH_REASON_LENGTH));
    if (!Scored(c.verdict())) continue;
    s.set_scored(s.scored() + 1);
    s.set_correct(s.correct() + c.verdict().correct());
    s.set_reward_sum(s.reward_sum() + c.verdict().score());
    s.set_formatted(s.formatted() + WellFormed(c.verdict()));
    Votes& v = votes[AnswerOf(c.text())];
    ++v.all;
    v.correct += c.verdict().correct();
  }
  int64_t most = 0;
  for (const auto& [answer, v] : votes) most = std::max(most, v.all);
  // Tied answers share the point. The same text may be judged both ways (a scorer that reads more
  // than the answer), then it is worth the share that was correct.
  int64_t tied = 0;
  double points = 0;
  for (const auto& [answer, v] : votes) {
    if (v.all != most) continue;
    ++tied;
    points += Ratio(static_cast<double>(v.correct), v.all);
  }
  s.set_majority(Ratio(points, tied));
  return s;
}

void Aggregate(const std::vector<v1::PromptScore>& prompts, v1::Evaluation* evaluation) {
  int64_t judged = 0;  // prompts with a scored completion
  int64_t completions = 0;
  int64_t scored = 0;
  int64_t tokens = 0;
  int64_t formatted = 0;
  int64_t truncated = 0;
  double pass_1 = 0;
  double pass_k = 0;
  double majority = 0;
  double reward = 0;
  for (const v1::PromptScore& p : prompts) {
    completions += p.completions();
    scored += p.scored();
    tokens += p.tokens();
    formatted += p.formatted();
    truncated += p.truncated();
    reward += p.reward_sum();
    if (p.scored() == 0) continue;
    ++judged;
    pass_1 += Ratio(static_cast<double>(p.correct()), p.scored());
    // The unbiased estimate 1 - C(n-c, k) / C(n, k) with k = n.
    pass_k += p.correct() > 0 ? 1 : 0;
    majority += p.majority();
  }
  evaluation->set_prompts_done(static_cast<int64_t>(prompts.size()));
  evaluation->set_pass_at_1(Ratio(pass_1, judged));
  evaluation->set_pass_at_k(Ratio(pass_k, judged));
  evaluation->set_majority_at_k(Ratio(majority, judged));
  evaluation->set_mean_reward(Ratio(reward, scored));
  evaluation->set_mean_tokens(Ratio(static_cast<double>(tokens), completions));
  evaluation->set_format_rate(Ratio(static_cast<double>(formatted), scored));
  evaluation->set_truncated_rate(Ratio(static_cast<double>(truncated), completions));
  evaluation->set_unscored(completions - scored);
}

}  // namespace hone
