#include "libs/reward/math/extract.h"

#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/strip.h"
#include "libs/reward/template.h"

namespace hone::math {
namespace {

// One line, without what follows it.
absl::string_view Line(absl::string_view s) {
  return s.substr(0, s.find('\n'));
}

// `s` up to the end of its first sentence: a line end, or a full stop that is not part of a number
// or formula. If it holds a $...$, \(...\) or \[...\] formula, the first of them.
absl::string_view Sentence(absl::string_view s) {
  s = absl::StripLeadingAsciiWhitespace(s);
  while (absl::ConsumePrefix(&s, "*") || absl::ConsumePrefix(&s, ":"))
    s = absl::StripLeadingAsciiWhitespace(s);
  absl::string_view line = Line(s);
  struct Delimiters {
    absl::string_view open, close;
  };
  for (const auto& [open, close] : {Delimiters{"$$", "$$"}, Delimiters{"\\(", "\\)"},
                                    Delimiters{"\\[", "\\]"}, Delimiters{"$", "$"}}) {
    // A formula may run over line ends, but must begin on the first line.
    const size_t begin = line.find(open);
    if (begin == line.npos) continue;
    const size_t from = begin + open.size();
    const size_t end = s.find(close, from);
    if (end == s.npos) continue;
    const absl::string_view formula = s.substr(from, end - from);
    // "$5 and ... $6" are prices: what stands between them is not a formula.
    if (open == "$" && formula.find_first_of(" \n") != formula.npos &&
        formula.find_first_of("\\^_=") == formula.npos)
      continue;
    if (!absl::StripAsciiWhitespace(formula).empty()) return formula;
  }
  for (size_t i = 0; i + 1 < line.size(); ++i)
    if (line[i] == '.' && absl::ascii_isspace(line[i + 1])) return line.substr(0, i);
  return line;
}

// Case-insensitive rfind of a lower-case needle.
size_t FindLast(absl::string_view text, absl::string_view needle) {
  if (text.size() < needle.size()) return text.npos;
  for (size_t at = text.size() - needle.size() + 1; at-- > 0;)
    if (absl::ascii_tolower(text[at]) == needle[0] &&
        absl::StartsWithIgnoreCase(text.substr(at), needle))
      return at;
  return text.npos;
}

// The rest of the last line that begins with `label` (lower case), white space and asterisks apart.
std::optional<absl::string_view> LabelledLine(absl::string_view text, absl::string_view label) {
  for (size_t end = text.size();;) {
    const size_t newline = end == 0 ? text.npos : text.rfind('\n', end - 1);
    const size_t begin = newline == text.npos ? 0 : newline + 1;
    absl::string_view line = text.substr(begin, end - begin);
    while (!line.empty() && (absl::ascii_isspace(line[0]) || line[0] == '*')) line.remove_prefix(1);
    if (absl::StartsWithIgnoreCase(line, label)) return Sentence(line.substr(label.size()));
    if (newline == text.npos) return std::nullopt;
    end = newline;
  }
}

std::optional<Extraction> ExtractFromProse(absl::string_view text) {
  if (std::optional<absl::string_view> boxed = LastBoxed(text); boxed.has_value())
    return Extraction{*boxed, "boxed"};
  if (size_t at = text.rfind("####"); at != text.npos)
    return Extraction{Line(text.substr(at + 4)), "####"};
  for (absl::string_view phrase :
       {"final answer is", "final answer:", "final answer**:", "answer is"})
    if (size_t at = FindLast(text, phrase); at != text.npos)
      return Extraction{Sentence(text.substr(at + phrase.size())), "\"answer is\""};
  for (absl::string_view label : {"answer:", "a:"})
    if (std::optional<absl::string_view> line = LabelledLine(text, label); line.has_value())
      return Extraction{*line, "\"Answer:\""};
  return std::nullopt;
}

}  // namespace

std::optional<absl::string_view> LastBoxed(absl::string_view text) {
  // One pass with a stack of the open boxes: the box that closes last wins, so a box in a box is
  // not looked into.
  struct Box {
    size_t at;     // of its brace
    size_t depth;  // braces around it
  };
  std::vector<Box> boxes;
  size_t depth = 0;
  std::optional<absl::string_view> best;
  size_t best_end = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\\') {
      // An escaped brace does not count. Skips one character only, so that "\boxed" is still seen
      // below.
      if (i + 1 < text.size() && (text[i + 1] == '{' || text[i + 1] == '}')) ++i;
    } else if (c == '{') {
      const absl::string_view before = absl::StripTrailingAsciiWhitespace(text.substr(0, i));
      if (absl::EndsWith(before, "boxed") || absl::EndsWith(before, "\\fbox"))
        boxes.push_back({i, depth});
      ++depth;
    } else if (c == '}' && depth > 0) {
      --depth;
      if (!boxes.empty() && boxes.back().depth == depth) {
        best = text.substr(boxes.back().at + 1, i - boxes.back().at - 1);
        best_end = i;
        boxes.pop_back();
      }
    }
  }
  // \boxed 5: later than every box with braces, and not the beginning of one.
  constexpr absl::string_view kBoxed = "\\boxed ";
  const size_t bare = text.rfind(kBoxed);
  if (bare != text.npos && (!best.has_value() || bare > best_end)) {
    absl::string_view rest = absl::StripLeadingAsciiWhitespace(text.substr(bare + kBoxed.size()));
    if (!rest.empty() && rest[0] != '{') return rest.substr(0, rest.find_first_of(" $\n\\"));
  }
  return best;
}

std::optional<Extraction> ExtractAnswer(absl::string_view text) {
  const std::optional<absl::string_view> tagged = LastAnswer(text);
  if (!tagged.has_value()) return ExtractFromProse(text);
  std::optional<Extraction> inner = ExtractFromProse(*tagged);
  return inner.has_value() ? inner : Extraction{*tagged, "answer tags"};
}

}  // namespace hone::math
