#include "libs/report/samples.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/report/text.h"

namespace hone {
namespace {

constexpr size_t kMostPairs = 8;
constexpr size_t kMostBytes = 6000;  // of one shown text

absl::string_view OutcomeName(v1::Outcome outcome) {
  switch (outcome) {
    case v1::OUTCOME_SCORED:
      return "scored";
    case v1::OUTCOME_UNPARSED:
      return "no answer found";
    case v1::OUTCOME_TIMEOUT:
      return "timed out";
    case v1::OUTCOME_OUT_OF_MEMORY:
      return "out of memory";
    case v1::OUTCOME_OUTPUT_LIMIT:
      return "too much output";
    case v1::OUTCOME_CRASHED:
      return "crashed";
    case v1::OUTCOME_COMPILE_ERROR:
      return "did not compile";
    case v1::OUTCOME_VERIFIER_UNAVAILABLE:
      return "verifier unavailable";
    case v1::OUTCOME_BUDGET:
      return "verifier's budget spent";
    case v1::OUTCOME_BAD_REFERENCE:
      return "unusable reference answer";
    default:
      return "not scored";
  }
}

absl::string_view FinishName(v1::FinishReason reason) {
  switch (reason) {
    case v1::FINISH_REASON_STOP_STRING:
      return "stopped at a stop string";
    case v1::FINISH_REASON_LENGTH:
      return "cut off at the length limit";
    case v1::FINISH_REASON_ABORT:
      return "aborted";
    default:
      return "";
  }
}

bool Scored(const v1::Completion& c) {
  return c.verdict().outcome() == v1::OUTCOME_SCORED;
}

// A prefix of whole code points, and how much was left out.
std::string Shorten(absl::string_view text, size_t& left_out) {
  size_t n = std::min(text.size(), kMostBytes);
  while (n < text.size() && n > 0 && (static_cast<unsigned char>(text[n]) & 0xC0) == 0x80) --n;
  left_out = text.size() - n;
  return std::string(text.substr(0, n));
}

std::string Text(absl::string_view text) {
  size_t left_out = 0;
  const std::string shown = Shorten(text, left_out);
  std::string html;
  for (const TextPart& p : SplitCompletion(shown)) {
    static constexpr std::array<const char*, 4> kClass = {"", "think", "answer", "tag"};
    if (p.kind == TextPart::kPlain) {
      absl::StrAppend(&html, EscapeHtml(p.text));
    } else {
      absl::StrAppend(&html, "<span class=\"", kClass[p.kind], "\">", EscapeHtml(p.text),
                      "</span>");
    }
  }
  if (left_out > 0)
    absl::StrAppend(&html, "<span class=\"cut\">… ", FormatCount(static_cast<int64_t>(left_out)),
                    " more bytes</span>");
  if (text.empty()) html = "<span class=\"cut\">(empty)</span>";
  return html;
}

std::string Parts(const v1::Verdict& verdict) {
  std::string html;
  for (const v1::ScorePart& p : verdict.parts()) {
    const bool scored = p.outcome() == v1::OUTCOME_SCORED;
    absl::StrAppend(&html, "<li><b>", EscapeHtml(Humanize(p.scorer())), "</b> ");
    if (scored || p.outcome() == v1::OUTCOME_UNPARSED || p.counts()) {
      absl::StrAppend(&html, FormatNumber(p.value()), " × ", FormatNumber(p.weight()));
      if (!scored) absl::StrAppend(&html, " · ", OutcomeName(p.outcome()));
    } else {
      absl::StrAppend(&html, OutcomeName(p.outcome()));
    }
    if (!p.reason().empty()) absl::StrAppend(&html, " <span>", EscapeHtml(p.reason()), "</span>");
    html += "</li>";
  }
  return html.empty() ? html : absl::StrCat("<ul class=\"parts\">", html, "</ul>");
}

std::string RenderCompletion(const v1::Completion& c, absl::string_view rank) {
  const v1::Verdict& v = c.verdict();
  const absl::string_view tone = !Scored(c) ? "unscored" : v.correct() ? "right" : "wrong";
  std::string facts = absl::StrCat(FormatCount(c.token_ids_size()), " tokens");
  const absl::string_view finish = FinishName(c.finish_reason());
  if (!finish.empty()) absl::StrAppend(&facts, " · ", finish);
  return absl::StrCat(
      "<article class=\"", tone, "\"><header><b>", rank, "</b> <span class=\"mark\">",
      Scored(c) ? v.correct() ? "✓ correct" : "✗ wrong" : OutcomeName(v.outcome()), "</span>",
      Scored(c) ? absl::StrCat(" <span class=\"score\">reward ", FormatNumber(v.score()), "</span>")
                : "",
      " <span class=\"facts\">", facts, "</span></header><pre>", Text(c.text()), "</pre>", Parts(v),
      "</article>\n");
}

std::string RenderSide(const v1::Group* group, absl::string_view when) {
  if (group == nullptr)
    return absl::StrCat("<div class=\"side\"><h4>", when,
                        "</h4><p class=\"none\">No sample.</p></div>\n");
  const v1::Completion *best = nullptr, *worst = nullptr, *unscored = nullptr;
  int correct = 0, scored = 0;
  std::string marks;
  for (const v1::Completion& c : group->completions()) {
    if (!Scored(c)) {
      if (unscored == nullptr) unscored = &c;
      marks += "<i class=\"unscored\">–</i>";
      continue;
    }
    ++scored;
    correct += c.verdict().correct();
    marks += c.verdict().correct() ? "<i class=\"right\">✓</i>" : "<i class=\"wrong\">✗</i>";
    if (best == nullptr || c.verdict().score() > best->verdict().score()) best = &c;
    if (worst == nullptr || c.verdict().score() <= worst->verdict().score()) worst = &c;
  }
  std::string html =
      absl::StrCat("<div class=\"side\"><h4>", when, " <span>weights of step ",
                   FormatCount(group->weights_version()), "</span></h4><p class=\"marks\">", marks,
                   " <span>", correct, " of ", scored, " correct</span></p>\n");
  if (best != nullptr && best->verdict().score() > worst->verdict().score()) {
    absl::StrAppend(&html, RenderCompletion(*best, "Best"), RenderCompletion(*worst, "Worst"));
  } else if (best != nullptr) {
    html += RenderCompletion(*best, scored == 1 ? "Only one" : "All the same reward");
  } else if (unscored != nullptr) {
    html += RenderCompletion(*unscored, "None scored");
  } else {
    html += "<p class=\"none\">The group is empty.</p>";
  }
  return html + "</div>\n";
}

std::string RenderPrompt(const v1::Group& group) {
  return absl::StrCat("<p class=\"prompt-id\">Prompt ", EscapeHtml(group.prompt_id()),
                      "</p><pre class=\"prompt\">", Text(group.prompt_text()), "</pre>");
}

}  // namespace

std::vector<TextPart> SplitCompletion(absl::string_view text) {
  struct Tag {
    absl::string_view text;
    TextPart::Kind inside;  // what follows
  };
  static constexpr Tag kTags[] = {{"<think>", TextPart::kThink},
                                  {"</think>", TextPart::kPlain},
                                  {"<answer>", TextPart::kAnswer},
                                  {"</answer>", TextPart::kPlain}};
  std::vector<TextPart> parts;
  TextPart::Kind kind = TextPart::kPlain;
  bool first = true;
  size_t begin = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '<') continue;
    for (const Tag& tag : kTags) {
      if (!absl::StartsWith(text.substr(i), tag.text)) continue;
      if (first && tag.text == "</think>") kind = TextPart::kThink;
      first = false;
      if (i > begin) parts.push_back({kind, std::string(text.substr(begin, i - begin))});
      parts.push_back({TextPart::kTag, std::string(tag.text)});
      kind = tag.inside;
      begin = i + tag.text.size();
      i = begin - 1;
      break;
    }
  }
  if (begin < text.size()) parts.push_back({kind, std::string(text.substr(begin))});
  return parts;
}

std::string RenderSamples(const ReportData& data) {
  std::string html = "<section class=\"samples\"><h2>What it writes</h2>\n";
  if (data.first_groups.empty() && data.last_groups.empty())
    return absl::StrCat(html, "<p class=\"none\">No completions were given.</p></section>\n");
  // Groups of the same prompt first; what is left stands beside each other in order.
  std::vector<std::pair<const v1::Group*, const v1::Group*>> pairs;
  std::vector<const v1::Group*> late, early;
  for (const v1::Group& g : data.last_groups) late.push_back(&g);
  for (const v1::Group& g : data.first_groups) {
    const auto same = std::find_if(late.begin(), late.end(), [&](const v1::Group* other) {
      return other->prompt_id() == g.prompt_id();
    });
    if (same == late.end()) {
      early.push_back(&g);
    } else {
      pairs.emplace_back(&g, *same);
      late.erase(same);
    }
  }
  for (size_t i = 0; i < std::max(early.size(), late.size()); ++i)
    pairs.emplace_back(i < early.size() ? early[i] : nullptr, i < late.size() ? late[i] : nullptr);

  for (size_t i = 0; i < std::min(pairs.size(), kMostPairs); ++i) {
    const auto& [first, last] = pairs[i];
    const bool same =
        first != nullptr && last != nullptr && first->prompt_id() == last->prompt_id();
    absl::StrAppend(&html, "<div class=\"pair\">", same ? RenderPrompt(*first) : "",
                    "<div class=\"sides\">");
    for (const auto& [group, when] : {std::pair{first, "Early"}, std::pair{last, "Late"}})
      absl::StrAppend(&html, "<div>", group != nullptr && !same ? RenderPrompt(*group) : "",
                      RenderSide(group, when), "</div>");
    html += "</div></div>\n";
  }
  if (pairs.size() > kMostPairs)
    absl::StrAppend(&html, "<p class=\"foot\">",
                    FormatCount(static_cast<int64_t>(pairs.size() - kMostPairs)),
                    " more were given and are not shown.</p>");
  return absl::StrCat(html, "</section>\n");
}

}  // namespace hone
