#include "libs/reward/language/prose.h"

#include <unicode/uchar.h>
#include <unicode/uscript.h>
#include <unicode/utf8.h>

#include <algorithm>
#include <iterator>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"

namespace hone::language {
namespace {

// Of two letters and more, in lower case, sorted.
constexpr absl::string_view kFormulaWords[] = {
    "arccos", "arcsin", "arctan", "atan", "cm",   "cos",  "cosh", "cot", "csc", "deg",
    "det",    "dim",    "dm",     "dx",   "dy",   "exp",  "ft",   "gcd", "ghz", "inf",
    "kg",     "khz",    "km",     "kw",   "lb",   "lcm",  "lg",   "lim", "ln",  "log",
    "max",    "mg",     "mhz",    "min",  "ml",   "mm",   "mod",  "mph", "ms",  "ns",
    "oz",     "rad",    "sec",    "sin",  "sinh", "sqrt", "sup",  "tan", "tanh"};

// Where in `text` the span ends that begins at `at` and is to be left out; `at` when none does.
class Spans {
 public:
  explicit Spans(absl::string_view text) : text_(text) {}

  size_t EndOf(size_t at) {
    switch (text_[at]) {
      case '`':
        if (Is(at, "```")) return Fence(at);
        return InLine('`', at);
      case '$':
        if (Is(at, "$$")) return After("$$", at + 2, at);
        return Dollar(at);
      case '\\':
        return Backslash(at);
      case '<':
        return Tag(at);
      default:
        return at;
    }
  }

 private:
  static constexpr size_t kFormula = 4000, kLine = 400, kTag = 40;
  // So many opening marks without a closing one are looked at; a text with more is no formula.
  static constexpr int kMostUnclosed = 300;

  bool Is(size_t at, absl::string_view mark) const { return text_.substr(at, mark.size()) == mark; }

  // Behind the next `mark` from `from` on; `begin` when there is none within reach.
  size_t After(absl::string_view mark, size_t from, size_t begin) {
    if (unclosed_ >= kMostUnclosed) return begin;
    const size_t end = text_.substr(from, kFormula).find(mark);
    if (end != text_.npos) return from + end + mark.size();
    ++unclosed_;
    return begin;
  }

  // Code may be of any length. One that does not end has no others behind it.
  size_t Fence(size_t at) {
    if (open_fence_) return at;
    const size_t end = text_.find("```", at + 3);
    open_fence_ = end == text_.npos;
    return open_fence_ ? at : end + 3;
  }

  size_t InLine(char mark, size_t at) const {
    const absl::string_view line = text_.substr(at + 1, kLine);
    const size_t end = line.find_first_of(mark == '`' ? "`\n" : "$\n");
    return end == line.npos || line[end] == '\n' ? at : at + 1 + end + 1;
  }

  // $x + 1$, not "$5 and $6": no space inside the marks, no digit after.
  size_t Dollar(size_t at) const {
    if (at + 1 >= text_.size() || absl::ascii_isspace(text_[at + 1])) return at;
    const size_t end = InLine('$', at);
    if (end == at || absl::ascii_isspace(text_[end - 2])) return at;
    return end < text_.size() && absl::ascii_isdigit(text_[end]) ? at : end;
  }

  size_t Backslash(size_t at) {
    if (Is(at, "\\(")) return After("\\)", at + 2, at);
    if (Is(at, "\\[")) return After("\\]", at + 2, at);
    if (Is(at, "\\begin{")) {
      const size_t name_end = text_.substr(at, 40).find('}');
      if (name_end != text_.npos) {
        const std::string name(text_.substr(at + 7, name_end - 7));
        const size_t end = After("\\end{" + name + "}", at + name_end, at);
        if (end > at) return end;
      }
    }
    size_t end = at + 1;
    while (end < text_.size() && absl::ascii_isalpha(text_[end])) ++end;
    return end > at + 1 ? end : at;
  }

  size_t Tag(size_t at) const {
    const absl::string_view rest = text_.substr(at + 1, kTag);
    if (rest.empty() || !(absl::ascii_isalpha(rest[0]) || rest[0] == '/' || rest[0] == '|'))
      return at;
    const size_t end = rest.find_first_of("<>\n");
    return end == rest.npos || rest[end] != '>' ? at : at + 1 + end + 1;
  }

  const absl::string_view text_;
  int unclosed_ = 0;
  bool open_fence_ = false;
};

bool IsAddress(absl::string_view word) {
  return absl::StartsWith(word, "http://") || absl::StartsWith(word, "https://") ||
         absl::StartsWith(word, "www.");
}

bool HasSpaces(UScriptCode script) {
  return script != USCRIPT_HAN && script != USCRIPT_HIRAGANA && script != USCRIPT_KATAKANA;
}

// As the ICU functions of these names, faster for ASCII.
bool IsLetter(UChar32 c) {
  return c < 0x80 ? absl::ascii_isalpha(static_cast<unsigned char>(c)) : u_isalpha(c);
}
bool IsDigit(UChar32 c) {
  return c < 0x80 ? absl::ascii_isdigit(static_cast<unsigned char>(c)) : u_isdigit(c);
}
UScriptCode ScriptOf(UChar32 c) {
  if (c < 0x80)
    return absl::ascii_isalpha(static_cast<unsigned char>(c)) ? USCRIPT_LATIN : USCRIPT_COMMON;
  UErrorCode error = U_ZERO_ERROR;
  return uscript_getScript(c, &error);
}

// Whether a run of letters, digits and underscores is no word but a name in a formula or program.
bool IsName(absl::string_view run) {
  bool small = false, all_capitals = true;
  for (const char c : run) {
    const unsigned char u = static_cast<unsigned char>(c);
    if (absl::ascii_isdigit(u) || u == '_') return true;
    if (absl::ascii_isupper(u) && small) return true;
    small = absl::ascii_islower(u);
    all_capitals = all_capitals && absl::ascii_isupper(u);
  }
  if (all_capitals && run.size() <= 5) return true;
  char lower[6];
  if (run.size() > sizeof lower) return false;
  std::transform(run.begin(), run.end(), lower,
                 [](char c) { return absl::ascii_tolower(static_cast<unsigned char>(c)); });
  return std::binary_search(std::begin(kFormulaWords), std::end(kFormulaWords),
                            absl::string_view(lower, run.size()));
}

}  // namespace

std::vector<Word> ProseWords(absl::string_view text) {
  std::vector<Word> words;
  Spans spans(text);
  const uint8_t* bytes = reinterpret_cast<const uint8_t*>(text.data());
  const int32_t size = static_cast<int32_t>(text.size());  // completions have at most 2 MiB
  int32_t at = 0;
  while (at < size) {
    if (const size_t end = spans.EndOf(static_cast<size_t>(at)); end > static_cast<size_t>(at)) {
      at = static_cast<int32_t>(end);
      continue;
    }
    const int32_t begin = at;
    UChar32 c;
    U8_NEXT(bytes, at, size, c);
    if (c < 0 || !(IsLetter(c) || IsDigit(c) || c == '_')) continue;
    if ((c == 'h' || c == 'w') && IsAddress(text.substr(static_cast<size_t>(begin), 8))) {
      while (at < size && !absl::ascii_isspace(text[static_cast<size_t>(at)])) ++at;
      continue;
    }
    // The run of letters, marks, digits and underscores that begins here, of one script.
    UScriptCode script = ScriptOf(c);
    int64_t letters = IsLetter(c) ? 1 : 0;
    bool digits = letters == 0;
    int32_t end = at;
    while (at < size) {
      U8_NEXT(bytes, at, size, c);
      if (c < 0) break;
      const bool apostrophe = (c == '\'' || c == 0x2019) && script == USCRIPT_LATIN && at < size &&
                              absl::ascii_isalpha(text[static_cast<size_t>(at)]);
      const bool letter = IsLetter(c);
      const bool digit = IsDigit(c) || c == '_';
      const UScriptCode next = ScriptOf(c);
      const bool mark = next == USCRIPT_INHERITED;  // accents and the like
      if (!apostrophe && !mark && !digit && !letter) break;
      if (letter && next != script) {
        // The long vowel mark and the like are of no script of their own; a digit has none either.
        if (script == USCRIPT_COMMON)
          script = next;
        else if (next != USCRIPT_COMMON)
          break;
      }
      letters += letter ? 1 : 0;
      digits = digits || digit;
      end = at;
    }
    at = end;
    const absl::string_view run =
        text.substr(static_cast<size_t>(begin), static_cast<size_t>(end - begin));
    if (at < size && text[static_cast<size_t>(at)] == '@') {  // mail
      while (at < size && !absl::ascii_isspace(text[static_cast<size_t>(at)])) ++at;
      continue;
    }
    if (letters == 0 || script == USCRIPT_COMMON) continue;
    if (HasSpaces(script)) {
      if (letters < 2 || digits) continue;
      if (script == USCRIPT_LATIN || script == USCRIPT_GREEK)
        if (IsName(run) || (at < size && text[static_cast<size_t>(at)] == '(')) continue;
      words.push_back({run, script, 1});
    } else {
      words.push_back({run, script, (letters + 1) / 2});
    }
  }
  return words;
}

}  // namespace hone::language
