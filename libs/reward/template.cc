#include "libs/reward/template.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/strip.h"
#include "libs/base/check.h"

namespace hone {
namespace {

enum TagKind { kThinkOpen, kThinkClose, kAnswerOpen, kAnswerClose };
constexpr std::array<absl::string_view, 4> kTags = {"<think>", "</think>", "<answer>", "</answer>"};

struct Tag {
  TagKind kind;
  size_t begin;
  size_t end;
};

// The first tags of `text`, at most `limit`: more than a template has are as wrong as many more.
std::vector<Tag> FindTags(absl::string_view text, size_t limit) {
  std::vector<Tag> tags;
  for (size_t at = 0; at + 1 < text.size() && tags.size() < limit; ++at) {
    // Two bytes decide nearly always; comparing with every tag at each '<' is what a hostile text
    // would cost.
    if (text[at] != '<' || (text[at + 1] != 't' && text[at + 1] != 'a' && text[at + 1] != '/'))
      continue;
    for (size_t kind = 0; kind < kTags.size(); ++kind) {
      if (!absl::StartsWith(text.substr(at), kTags[kind])) continue;
      tags.push_back({static_cast<TagKind>(kind), at, at + kTags[kind].size()});
      break;
    }
  }
  return tags;
}

bool Blank(absl::string_view s) {
  return absl::StripAsciiWhitespace(s).empty();
}

// Something like <eos>, </b>, <|im_end|>: '<', then a letter, '/', '|' or a byte of a longer
// character, and a '>' soon after without white space or another '<' in between. "x<3", "1 < a" are
// not.
bool LooksLikeTag(absl::string_view s) {
  constexpr size_t kLongest = 40;
  for (size_t at = s.find('<'); at != s.npos; at = s.find('<', at + 1)) {
    absl::string_view rest = s.substr(at + 1, kLongest);
    if (rest.empty()) return false;
    const unsigned char first = rest[0];
    if (!absl::ascii_isalpha(first) && first != '/' && first != '|' && first < 0x80) continue;
    for (char c : rest) {
      if (c == '>') return true;
      if (c == '<' || absl::ascii_isspace(c)) break;
    }
  }
  return false;
}

TemplateMatch No(absl::string_view why) {
  return {.ok = false, .answer = {}, .why = why};
}

TemplateMatch MatchR1Zero(absl::string_view text, bool opened) {
  const std::vector<Tag> tags = FindTags(text, 5);
  const size_t first = opened && (tags.empty() || tags[0].kind != kThinkOpen) ? 1 : 0;
  if (tags.size() < 4 - first) return No("a tag is missing");
  if (tags.size() > 4 - first) return No("a tag occurs more than once");
  for (size_t i = 0; i < tags.size(); ++i)
    if (tags[i].kind != static_cast<TagKind>(i + first)) return No("the tags are not in order");
  const Tag& close = tags[1 - first];
  const Tag& answer_open = tags[2 - first];
  const Tag& answer_close = tags[3 - first];
  if (first == 0 && !Blank(text.substr(0, tags[0].begin))) return No("text before <think>");
  if (!Blank(text.substr(close.end, answer_open.begin - close.end)))
    return No("text between </think> and <answer>");
  if (!Blank(text.substr(answer_close.end))) return No("text after </answer>");
  absl::string_view answer = text.substr(answer_open.end, answer_close.begin - answer_open.end);
  if (Blank(answer)) return No("the answer is empty");
  if (LooksLikeTag(answer)) return No("a tag inside the answer");
  return {.ok = true, .answer = answer, .why = {}};
}

TemplateMatch MatchThink(absl::string_view text, bool opened) {
  size_t start = 0;
  const absl::string_view trimmed = absl::StripLeadingAsciiWhitespace(text);
  if (absl::StartsWith(trimmed, kTags[kThinkOpen]))
    start = text.size() - trimmed.size() + kTags[kThinkOpen].size();
  else if (!opened)
    return No("does not start with <think>");
  if (text.find(kTags[kThinkOpen], start) != text.npos) return No("a second <think>");
  const size_t close = text.find(kTags[kThinkClose], start);
  if (close == text.npos) return No("no </think>");
  absl::string_view answer = text.substr(close + kTags[kThinkClose].size());
  if (answer.find(kTags[kThinkClose]) != answer.npos) return No("a second </think>");
  if (Blank(answer)) return No("nothing after </think>");
  return {.ok = true, .answer = answer, .why = {}};
}

}  // namespace

const std::vector<std::string>& TemplateNames() {
  static const auto* names = new std::vector<std::string>{"none", "r1_zero", "think"};
  return *names;
}

Template TemplateByName(absl::string_view name) {
  for (size_t i = 0; i < TemplateNames().size(); ++i)
    if (TemplateNames()[i] == name) return static_cast<Template>(i);
  HONE_CHECK(false) << "no template " << std::string(name);
  return Template::kNone;
}

TemplateMatch MatchTemplate(Template kind, absl::string_view text, bool opened) {
  switch (kind) {
    case Template::kNone:
      return {.ok = true, .answer = text, .why = {}};
    case Template::kR1Zero:
      return MatchR1Zero(text, opened);
    case Template::kThink:
      return MatchThink(text, opened);
  }
  return No("no such template");
}

TemplateMatch MatchTemplate(Template kind, const v1::ScoreItem& item) {
  if (kind != Template::kNone && item.finish_reason() == v1::FINISH_REASON_LENGTH)
    return No("cut off before its end");
  return MatchTemplate(kind, StripSpecialTokens(item.completion()), ThinkingOpened(item));
}

absl::string_view StripSpecialTokens(absl::string_view text) {
  // Longer ones are no tokens of any vocabulary in use.
  constexpr size_t kLongest = 64;
  constexpr absl::string_view kNamed[] = {"<s>",   "</s>",          "<bos>",          "<eos>",
                                          "<pad>", "<end_of_turn>", "<start_of_turn>"};
  constexpr std::pair<absl::string_view, absl::string_view> kMarked[] = {{"<|", "|>"},
                                                                         {"<\uff5c", "\uff5c>"}};
  const auto inner = [](absl::string_view s) {  // what a marked token may be made of
    return s.find_first_of("<> \t\r\n") == s.npos && !s.empty();
  };
  const auto from_front = [&](absl::string_view s) -> size_t {
    for (absl::string_view token : kNamed)
      if (absl::StartsWith(s, token)) return token.size();
    for (const auto& [open, close] : kMarked) {
      if (!absl::StartsWith(s, open)) continue;
      const size_t end = s.substr(0, kLongest).find(close, open.size());
      if (end != s.npos && inner(s.substr(open.size(), end - open.size())))
        return end + close.size();
    }
    return 0;
  };
  const auto from_back = [&](absl::string_view s) -> size_t {
    for (absl::string_view token : kNamed)
      if (absl::EndsWith(s, token)) return token.size();
    for (const auto& [open, close] : kMarked) {
      if (!absl::EndsWith(s, close)) continue;
      const absl::string_view tail = s.substr(s.size() - std::min(s.size(), kLongest));
      const size_t begin = tail.rfind(open);
      if (begin == tail.npos || begin + open.size() + close.size() > tail.size()) continue;
      if (inner(tail.substr(begin + open.size(), tail.size() - begin - open.size() - close.size())))
        return tail.size() - begin;
    }
    return 0;
  };
  for (;;) {
    const absl::string_view trimmed = absl::StripLeadingAsciiWhitespace(text);
    const size_t length = from_front(trimmed);
    if (length == 0) break;
    text = trimmed.substr(length);
  }
  for (;;) {
    const absl::string_view trimmed = absl::StripTrailingAsciiWhitespace(text);
    const size_t length = from_back(trimmed);
    if (length == 0) break;
    text = trimmed.substr(0, trimmed.size() - length);
  }
  return text;
}

bool TagsOnOwnLines(Template kind, absl::string_view text) {
  const auto after_newline = [&](const Tag& tag) {
    return tag.begin == 0 || text[tag.begin - 1] == '\n';
  };
  const auto before_newline = [&](const Tag& tag) {
    return tag.end < text.size() && text[tag.end] == '\n';
  };
  if (kind == Template::kThink) {  // other tags are text
    const Tag close{kThinkClose, text.find(kTags[kThinkClose]),
                    text.find(kTags[kThinkClose]) + kTags[kThinkClose].size()};
    const size_t open = text.find(kTags[kThinkOpen]);
    return after_newline(close) && before_newline(close) &&
           (open == text.npos ||
            before_newline({kThinkOpen, open, open + kTags[kThinkOpen].size()}));
  }
  if (kind == Template::kNone) return true;
  for (const Tag& tag : FindTags(text, 4)) {
    if (tag.kind != kThinkOpen && !after_newline(tag)) return false;
    if (tag.kind != kAnswerClose && !before_newline(tag)) return false;
  }
  return true;
}

absl::string_view Thoughts(const v1::ScoreItem& item) {
  absl::string_view text = StripSpecialTokens(item.completion());
  const size_t close = text.rfind(kTags[kThinkClose]);
  if (close == text.npos) return text;
  text = text.substr(0, close);
  const absl::string_view trimmed = absl::StripLeadingAsciiWhitespace(text);
  return absl::StartsWith(trimmed, kTags[kThinkOpen]) ? trimmed.substr(kTags[kThinkOpen].size())
                                                      : text;
}

bool ThinkingOpened(const v1::ScoreItem& item) {
  return absl::EndsWith(absl::StripTrailingAsciiWhitespace(item.prompt().text()),
                        kTags[kThinkOpen]);
}

std::optional<absl::string_view> AfterThinking(const v1::ScoreItem& item) {
  const absl::string_view text = item.completion();
  const size_t close = text.rfind(kTags[kThinkClose]);
  const size_t open = text.rfind(kTags[kThinkOpen]);
  const bool is_open = open == text.npos ? ThinkingOpened(item) && close == text.npos
                                         : close == text.npos || open > close;
  if (is_open) return std::nullopt;
  return close == text.npos ? text : text.substr(close + kTags[kThinkClose].size());
}

std::optional<absl::string_view> LastAnswer(absl::string_view text) {
  const size_t close = text.rfind(kTags[kAnswerClose]);
  if (close == text.npos) return std::nullopt;
  const size_t open = text.substr(0, close).rfind(kTags[kAnswerOpen]);
  if (open == text.npos) return std::nullopt;
  const size_t begin = open + kTags[kAnswerOpen].size();
  return text.substr(begin, close - begin);
}

}  // namespace hone
