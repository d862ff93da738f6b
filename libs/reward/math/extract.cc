#include "libs/reward/math/extract.h"

#include <algorithm>
#include <array>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "libs/reward/template.h"

namespace hone::math {
namespace {

constexpr size_t kNone = absl::string_view::npos;
constexpr size_t kMaxBoxes = 64;   // the last ones; more are forgotten
constexpr size_t kMaxNested = 64;  // boxes in boxes
constexpr absl::string_view kAnswerZh = "\u7b54\u6848", kFinalZh = "\u6700\u7ec8";

struct Delimiters {
  absl::string_view open, close;
};
constexpr Delimiters kFormula[] = {{"$$", "$$"}, {"\\(", "\\)"}, {"\\[", "\\]"}, {"$", "$"}};

// One line, without what follows it.
absl::string_view Line(absl::string_view s) {
  return s.substr(0, s.find('\n'));
}

// Where the first sentence of `line` ends: at a full stop that is not part of a number or formula.
size_t SentenceEnd(absl::string_view line) {
  for (size_t i = 0; i + 1 < line.size(); ++i)
    if (line[i] == '.' && absl::ascii_isspace(line[i + 1])) return i;
  return line.size();
}

// `s` up to the end of its first sentence. If it holds one formula in $...$, \(...\) or \[...\],
// that formula; if it goes on with "," or "and" and another one, all of the sentence.
absl::string_view Sentence(absl::string_view s) {
  s = absl::StripLeadingAsciiWhitespace(s);
  while (absl::ConsumePrefix(&s, "*") || absl::ConsumePrefix(&s, ":") ||
         absl::ConsumePrefix(&s, "\uff1a"))
    s = absl::StripLeadingAsciiWhitespace(s);
  const absl::string_view line = Line(s);
  for (const auto& [open, close] : kFormula) {
    // A formula may run over line ends, but must begin on the first line.
    const size_t begin = line.find(open);
    if (begin == kNone) continue;
    const size_t from = begin + open.size();
    const size_t end = s.find(close, from);
    if (end == kNone) continue;
    const absl::string_view formula = s.substr(from, end - from);
    // "$5 and ... $6" are prices: what stands between them is not a formula.
    if (open == "$" && formula.find_first_of(" \n") != kNone &&
        formula.find_first_of("\\^_=(") == kNone &&
        std::any_of(formula.begin(), formula.end(), absl::ascii_isalpha))
      continue;
    if (absl::StripAsciiWhitespace(formula).empty()) continue;
    absl::string_view rest = absl::StripLeadingAsciiWhitespace(s.substr(end + close.size()));
    const bool more = absl::ConsumePrefix(&rest, ",") || absl::ConsumePrefix(&rest, "and ") ||
                      absl::ConsumePrefix(&rest, "or ");
    rest = absl::StripLeadingAsciiWhitespace(rest);
    if (absl::ConsumePrefix(&rest, "and ") || absl::ConsumePrefix(&rest, "or "))
      rest = absl::StripLeadingAsciiWhitespace(rest);
    if (more && begin == 0 && end < line.size() && absl::StartsWith(rest, open))
      return line.substr(0, SentenceEnd(line));
    return formula;
  }
  return line.substr(0, SentenceEnd(line));
}

struct Box {
  size_t begin, end;  // of what it holds
  size_t outside;     // the index of its backslash
};

class Scanner {
 public:
  explicit Scanner(absl::string_view text) : text_(text) {}

  void Run() {
    static const std::array<bool, 256> interesting = [] {
      std::array<bool, 256> a{};
      for (unsigned char c : {'\\', '{', '}', '#', 'a', 'A', 'b', kAnswerZh[0]})
        a[static_cast<unsigned char>(c)] = true;
      return a;
    }();
    for (size_t i = 0; i < text_.size(); ++i)
      if (interesting[static_cast<unsigned char>(text_[i])]) i = Look(i);
  }

  std::optional<Extraction> Result(Boxes policy) const {
    const size_t box_end = boxes_.empty() ? kNone : boxes_.back().end;
    auto later = [&](size_t at) { return at != kNone && (box_end == kNone || at > box_end); };
    if (later(hashes_)) return Extraction{std::string(Line(text_.substr(hashes_))), "####"};
    if (later(final_)) {
      const absl::string_view sentence = Sentence(text_.substr(final_));
      const absl::string_view bare = absl::StripLeadingAsciiWhitespace(sentence);
      const bool formula = !bare.empty() && (absl::ascii_isdigit(bare[0]) ||
                                             absl::string_view("-+$\\([{.").find(bare[0]) != kNone);
      if (boxes_.empty() || formula) return Extraction{std::string(sentence), "\"final answer\""};
    }
    if (!boxes_.empty()) return FromBoxes(policy);
    if (answer_ != kNone)
      return Extraction{std::string(Sentence(text_.substr(answer_))), "\"answer is\""};
    if (label_ != kNone)
      return Extraction{std::string(Sentence(text_.substr(label_))), "\"Answer:\""};
    return std::nullopt;
  }

 private:
  // Looks at the character `i`; returns the last one it took.
  size_t Look(size_t i) {
    switch (text_[i]) {
      case '\\':
        // An escaped brace does not count.
        if (i + 1 < text_.size() && (text_[i + 1] == '{' || text_[i + 1] == '}')) return i + 1;
        if (absl::StartsWith(text_.substr(i + 1), "boxed")) return OpenBox(i, i + 6);
        if (absl::StartsWith(text_.substr(i + 1), "fbox")) return OpenBox(i, i + 5);
        return i;
      case 'b':
        // The backslash may be lost, as "\b" is a control character in many languages.
        if (absl::StartsWith(text_.substr(i), "boxed{") &&
            (i == 0 || !absl::ascii_isalpha(text_[i - 1])))
          return OpenBox(i, i + 5);
        if (i > 0 && text_[i - 1] == '\b' && absl::StartsWith(text_.substr(i), "oxed{"))
          return OpenBox(i, i + 4);
        return i;
      case '{':
        ++depth_;
        return i;
      case '}':
        if (depth_ == 0) return i;
        --depth_;
        if (!open_.empty() && open_.back().second == depth_) {
          Box box = open_.back().first;
          box.end = i;
          open_.pop_back();
          // A box in a box is not looked into.
          while (!boxes_.empty() && boxes_.back().begin > box.begin) boxes_.pop_back();
          Add(box);
        }
        return i;
      case '#':
        if (!absl::StartsWith(text_.substr(i), "####")) return i;
        while (i < text_.size() && text_[i] == '#') ++i;
        hashes_ = i;
        return i - 1;
      case 'a':
      case 'A':
        return Label(i);
      default:
        if (absl::StartsWith(text_.substr(i), kAnswerZh)) return LabelZh(i);
        return i;
    }
  }

  // `at`: just behind "boxed".
  size_t OpenBox(size_t outside, size_t at) {
    size_t i = at;
    while (i < text_.size() && (text_[i] == ' ' || text_[i] == '\n')) ++i;
    if (i >= text_.size()) return at - 1;
    if (text_[i] == '{') {
      if (open_.size() >= kMaxNested) open_.erase(open_.begin(), open_.begin() + kMaxNested / 2);
      open_.push_back({{i + 1, i + 1, outside}, depth_});
      ++depth_;
      return i;
    }
    if (i == at) return at - 1;
    const size_t end = std::min(text_.find_first_of(" $\n\\", i), text_.size());
    if (end > i) Add({i, end, outside});
    return std::max(i, end) - 1;
  }

  void Add(const Box& box) {
    if (boxes_.size() >= kMaxBoxes) boxes_.erase(boxes_.begin(), boxes_.begin() + kMaxBoxes / 2);
    boxes_.push_back(box);
  }

  size_t SkipDecoration(size_t i) const {
    while (i < text_.size() && (text_[i] == ' ' || text_[i] == '*' || text_[i] == '_')) ++i;
    return i;
  }

  // "answer is", "answers are", "answer:", "final answer", "A:".
  size_t Label(size_t i) {
    const absl::string_view rest = text_.substr(i);
    if (rest.size() > 1 && rest[1] == ':') {
      if (rest[0] == 'A' && LineIsBlankBefore(i)) label_ = i + 2;
      return i;
    }
    if (!absl::StartsWithIgnoreCase(rest, "answer")) return i;
    size_t at = i + 6;
    if (at < text_.size() && text_[at] == 's') ++at;
    if (absl::StartsWith(text_.substr(at), "(s)")) at += 3;
    const bool final = EndsInFinal(i);
    const size_t next = SkipDecoration(at);
    const absl::string_view tail = text_.substr(next);
    size_t* kind = final ? &final_ : &answer_;
    if (absl::StartsWithIgnoreCase(tail, "is") || absl::StartsWithIgnoreCase(tail, "are")) {
      const size_t after = next + (absl::ascii_tolower(tail[0]) == 'i' ? 2 : 3);
      if (after < text_.size() && !absl::ascii_isalpha(text_[after])) *kind = after;
    } else if (absl::StartsWith(tail, ":") || absl::StartsWith(tail, "\uff1a")) {
      *kind = next + 1;
      if (tail[0] != ':') *kind = next + 3;
    } else if (final && absl::StartsWith(tail, "\n") && LineIsBlankBefore(i - 6, "#")) {
      *kind = next;  // a heading
    }
    return at - 1;
  }

  size_t LabelZh(size_t i) {
    const bool final = absl::EndsWith(text_.substr(0, i), kFinalZh);
    size_t at = i + kAnswerZh.size();
    bool labelled = false;
    for (absl::string_view word : {"\u5e94\u4e3a", "\u662f", "\u4e3a", ":", "\uff1a"})
      if (absl::StartsWith(text_.substr(at), word)) {
        at += word.size();
        labelled = true;
        break;
      }
    if (labelled) *(final ? &final_ : &answer_) = at;
    return at - 1;
  }

  bool EndsInFinal(size_t i) const {
    size_t end = i;
    while (end > 0 && i - end < 4 && text_[end - 1] == ' ') --end;
    return end >= 5 && end < i && absl::EqualsIgnoreCase(text_.substr(end - 5, 5), "final");
  }

  // Whether the line has only white space and emphasis (and `also`) before `i`.
  bool LineIsBlankBefore(size_t i, absl::string_view also = "") const {
    while (i > 0 && text_[i - 1] != '\n') {
      const char c = text_[i - 1];
      if (!absl::ascii_isspace(c) && c != '*' && also.find(c) == kNone) return false;
      --i;
    }
    return true;
  }

  absl::string_view Text(const Box& box) const {
    return absl::StripAsciiWhitespace(text_.substr(box.begin, box.end - box.begin));
  }

  // Whether box `b` goes on where box `a` ended: "\boxed{1} and \boxed{2}".
  bool Continues(const Box& a, const Box& b) const {
    if (b.outside <= a.end) return false;
    const absl::string_view gap = text_.substr(a.end + 1, b.outside - a.end - 1);
    if (gap.size() > 48) return false;
    int words = 0;
    bool joined = gap.empty(), line_end = false, stop = false;
    for (size_t i = 0; i < gap.size();) {
      if (absl::ascii_isalpha(gap[i])) {
        size_t end = i;
        while (end < gap.size() && absl::ascii_isalpha(gap[end])) ++end;
        const absl::string_view word = gap.substr(i, end - i);
        if (word == "and" || word == "or")
          joined = true;
        else if (word != "text" && word != "quad" && word != "qquad" && word != "mbox" &&
                 word != "mathrm")
          ++words;
        i = end;
        continue;
      }
      if (absl::string_view(" \t\n$\\(){}[],;.&}").find(gap[i]) == kNone) return false;
      joined |= gap[i] == ',' || gap[i] == ';';
      line_end |= gap[i] == '\n';
      stop |= gap[i] == '.';
      ++i;
    }
    return joined && (words == 0 || (words <= 3 && !line_end && !stop));
  }

  Extraction FromBoxes(Boxes policy) const {
    Extraction e{std::string(Text(boxes_.back())), "boxed"};
    size_t first = boxes_.size() - 1;
    if (policy == Boxes::kLast)
      while (first > 0 && Continues(boxes_[first - 1], boxes_[first])) --first;
    else
      first = 0;
    std::vector<absl::string_view> distinct;
    for (size_t i = first; i < boxes_.size(); ++i) {
      const absl::string_view text = Text(boxes_[i]);
      if (std::find(distinct.begin(), distinct.end(), text) == distinct.end())
        distinct.push_back(text);
    }
    if (distinct.size() < 2) return e;
    if (policy == Boxes::kAgree) {
      e.disagree = true;
      return e;
    }
    e.answer.clear();
    for (absl::string_view text : distinct)
      absl::StrAppend(&e.answer, e.answer.empty() ? "" : ", ", text);
    e.how = "several boxes";
    return e;
  }

  absl::string_view text_;
  size_t depth_ = 0;
  std::vector<std::pair<Box, size_t>> open_;  // with the depth outside
  std::vector<Box> boxes_;
  size_t hashes_ = kNone, final_ = kNone, answer_ = kNone, label_ = kNone;
};

std::optional<Extraction> FromProse(absl::string_view text, Boxes boxes) {
  Scanner scanner(text);
  scanner.Run();
  return scanner.Result(boxes);
}

}  // namespace

std::optional<Extraction> ExtractAnswer(absl::string_view text, Boxes boxes) {
  const std::optional<absl::string_view> tagged = LastAnswer(text);
  if (!tagged.has_value()) return FromProse(text, boxes);
  std::optional<Extraction> inner = FromProse(*tagged, boxes);
  return inner.has_value() ? inner : Extraction{std::string(*tagged), "answer tags"};
}

}  // namespace hone::math
