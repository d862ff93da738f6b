#include "libs/tokenizer/scanner.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "libs/tokenizer/character_class.h"

namespace hone {

const char* const kGpt2Expression =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
const char* const kLlama3Expression =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
const char* const kQwen2Expression =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
const char* const kDeepSeek3Expression =
    "[!\"#$%&'()*+,\\-./"
    ":;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+"
    "| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+";

namespace {

bool IsAsciiLetter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
bool IsAsciiPunctuation(char c) {
  return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') ||
         (c >= '{' && c <= '~');
}

// One text under way: what the alternatives of the expressions have in common.
class Scan {
 public:
  explicit Scan(absl::string_view text) : text_(text), classes_(CharacterClasses::Get()) {}

  absl::string_view text() const { return text_; }
  CharacterClasses::Character At(size_t at) const {
    return at < text_.size() ? classes_.At(text_, at) : CharacterClasses::Character{0, 0};
  }

  // Behind the longest run of characters at `at` that have one of `wanted` (with `invert`: that
  // have none); at most `most` of them.
  size_t Run(size_t at, uint8_t wanted, bool invert = false, int most = INT32_MAX) const {
    for (; at < text_.size() && most > 0; --most) {
      const auto c = classes_.At(text_, at);
      if (((c.classes & wanted) != 0) == invert) break;
      at += c.length;
    }
    return at;
  }

  // \s+(?!\S)|\s+ : blanks but for the last one, when something else follows.
  size_t Blanks(size_t at) const {
    size_t last = at;
    size_t end = at;
    while (end < text_.size()) {
      const auto c = classes_.At(text_, end);
      if ((c.classes & kBlank) == 0) break;
      last = end;
      end += c.length;
    }
    return end == text_.size() || last == at ? end : last;
  }

  // \s*[\r\n]+ : blanks up to the last newline among them; `at` when there is none.
  size_t Newlines(size_t at) const {
    size_t end = at;
    for (size_t i = at; i < text_.size();) {
      const auto c = classes_.At(text_, i);
      if ((c.classes & kBlank) == 0) break;
      i += c.length;
      if ((c.classes & kNewline) != 0) end = i;
    }
    return end;
  }

  // \s*[\r\n]+|\s+(?!\S)|\s+
  size_t BlankTail(size_t at) const {
    const size_t end = Newlines(at);
    return end > at ? end : Blanks(at);
  }

  // 's|'t|'re|'ve|'m|'ll|'d ; `at` when none is there. Ignoring case, a long s (U+017F) is an s.
  size_t Contraction(size_t at, bool ignore_case) const {
    if (text_[at] != '\'' || at + 1 >= text_.size()) return at;
    const auto letter = [&](size_t i) {
      const char c = i < text_.size() ? text_[i] : '\0';
      return ignore_case && c >= 'A' && c <= 'Z' ? static_cast<char>(c | 32) : c;
    };
    const char first = letter(at + 1);
    if (first == 's' || first == 't' || first == 'm' || first == 'd') return at + 2;
    const char second = letter(at + 2);
    if ((first == 'r' && second == 'e') || (first == 'v' && second == 'e') ||
        (first == 'l' && second == 'l'))
      return at + 3;
    return ignore_case && absl::StartsWith(text_.substr(at + 1), "\xC5\xBF") ? at + 3 : at;
  }

 private:
  const absl::string_view text_;
  const CharacterClasses& classes_;
};

// Finds matches with Next(scan, at): the end of the match at `at`, or `at` when none begins there.
template <typename Rule>
class Scanner : public Pattern {
 public:
  explicit Scanner(Rule rule) : rule_(std::move(rule)) {}
  absl::Status FindAll(absl::string_view text, std::vector<Match>* matches) const override {
    const Scan scan(text);
    for (size_t at = 0; at < text.size();) {
      const size_t end = rule_.Next(scan, at);
      if (end == at) {
        at += scan.At(at).length;
        continue;
      }
      matches->push_back({at, end});
      at = end;
    }
    return absl::OkStatus();
  }

 private:
  Rule rule_;
};

struct Gpt2 {
  static size_t Next(const Scan& scan, size_t at) {
    if (const size_t end = scan.Contraction(at, false); end > at) return end;
    const size_t begin = at + (scan.text()[at] == ' ' ? 1 : 0);
    const uint8_t c = scan.At(begin).classes;
    if ((c & kLetter) != 0) return scan.Run(begin, kLetter);
    if ((c & kNumber) != 0) return scan.Run(begin, kNumber);
    if ((c & kBlank) == 0 && begin < scan.text().size())
      return scan.Run(begin, kBlank | kLetter | kNumber, true);
    return scan.Blanks(at);
  }
};

// Llama 3 with three digits, Qwen 2 with one.
struct Llama3 {
  int digits;
  size_t Next(const Scan& scan, size_t at) const {
    if (const size_t end = scan.Contraction(at, true); end > at) return end;
    const auto first = scan.At(at);
    if ((first.classes & kLetter) != 0) return scan.Run(at, kLetter);
    if ((first.classes & kNumber) != 0) return scan.Run(at, kNumber, false, digits);
    if ((first.classes & kNewline) == 0) {
      const size_t second = at + first.length;
      if ((scan.At(second).classes & kLetter) != 0) return scan.Run(second, kLetter);
      const size_t begin = scan.text()[at] == ' ' ? second : at;
      const size_t end = scan.Run(begin, kBlank | kLetter | kNumber, true);
      if (end > begin) return scan.Run(end, kNewline);
    }
    return scan.BlankTail(at);
  }
};

struct DeepSeek3 {
  static size_t Next(const Scan& scan, size_t at) {
    const absl::string_view text = scan.text();
    if (IsAsciiPunctuation(text[at]) && at + 1 < text.size() && IsAsciiLetter(text[at + 1])) {
      size_t end = at + 1;
      while (end < text.size() && IsAsciiLetter(text[end])) ++end;
      return end;
    }
    const auto first = scan.At(at);
    if ((first.classes & (kLetter | kMark)) != 0) return scan.Run(at, kLetter | kMark);
    const size_t second = at + first.length;
    if ((first.classes & (kNewline | kPunctuation | kSymbol)) == 0 &&
        (scan.At(second).classes & (kLetter | kMark)) != 0)
      return scan.Run(second, kLetter | kMark);
    const size_t begin = text[at] == ' ' ? second : at;
    const size_t end = scan.Run(begin, kPunctuation | kSymbol);
    if (end > begin) return scan.Run(end, kNewline);
    return (first.classes & kBlank) != 0 ? scan.BlankTail(at) : at;
  }
};

// A class that an expression names, or spells as single characters and ranges.
struct Set {
  uint8_t classes = 0;
  std::vector<std::pair<char32_t, char32_t>> ranges;  // in order

  size_t Length(const Scan& scan, size_t at) const {
    if (at >= scan.text().size()) return 0;
    if (classes != 0) {
      const auto c = scan.At(at);
      return (c.classes & classes) != 0 ? c.length : 0;
    }
    const CodePoint c = CodePointAt(scan.text(), at);
    const auto it = std::upper_bound(
        ranges.begin(), ranges.end(), c.value,
        [](char32_t value, const std::pair<char32_t, char32_t>& r) { return value < r.first; });
    return it != ranges.begin() && c.value <= std::prev(it)->second ? c.length : 0;
  }
};

// \s?[...]+ and its like.
struct SetRun {
  bool blank_first;  // \s?
  Set set;
  int most;
  size_t Next(const Scan& scan, size_t at) const {
    const auto first = scan.At(at);
    size_t end = at;
    if (blank_first && (first.classes & kBlank) != 0 && set.Length(scan, at + first.length) > 0)
      end += first.length;
    for (int n = 0; n < most; ++n) {
      const size_t length = set.Length(scan, end);
      if (length == 0) break;
      end += length;
    }
    return end;
  }
};

// Reads "[...]" that holds nothing but characters and ranges; false otherwise.
bool ReadSet(absl::string_view* expression, Set* set) {
  for (const auto& [name, bit] :
       {std::pair{"\\p{L}", kLetter}, {"\\p{N}", kNumber}, {"\\p{P}", kPunctuation}})
    if (absl::ConsumePrefix(expression, name)) {
      set->classes = bit;
      return true;
    }
  if (!absl::ConsumePrefix(expression, "[")) return false;
  std::vector<std::pair<char32_t, char32_t>> ranges;
  bool open = false;  // behind "a-"
  while (!expression->empty() && (*expression)[0] != ']') {
    const CodePoint c = CodePointAt(*expression, 0);
    if (c.value == '\\' || c.value == '[' || c.value == '^' || c.value == '&') return false;
    const bool range = c.value != '-' && expression->size() > c.length + 1u &&
                       (*expression)[c.length] == '-' && (*expression)[c.length + 1] != ']';
    expression->remove_prefix(c.length + (range && !open ? 1 : 0));
    if (open) {
      if (c.value < ranges.back().first) return false;
      ranges.back().second = c.value;
      open = false;
    } else {
      if (c.value == '-') return false;
      ranges.emplace_back(c.value, c.value);
      open = range;
    }
  }
  if (!absl::ConsumePrefix(expression, "]") || ranges.empty() || open) return false;
  std::sort(ranges.begin(), ranges.end());
  for (const auto& r : ranges) {
    if (!set->ranges.empty() && r.first <= set->ranges.back().second)
      set->ranges.back().second = std::max(set->ranges.back().second, r.second);
    else
      set->ranges.push_back(r);
  }
  return true;
}

}  // namespace

std::unique_ptr<Pattern> MakeScanner(absl::string_view spelled) {
  // Some files escape the newlines of an expression and some do not.
  const auto plain = [](absl::string_view e) {
    return absl::StrReplaceAll(e, {{"\\r", "\r"}, {"\\n", "\n"}});
  };
  const std::string text = plain(spelled);
  absl::string_view expression = text;
  if (expression == plain(kGpt2Expression)) return std::make_unique<Scanner<Gpt2>>(Gpt2());
  if (expression == plain(kLlama3Expression)) return std::make_unique<Scanner<Llama3>>(Llama3{3});
  if (expression == plain(kQwen2Expression)) return std::make_unique<Scanner<Llama3>>(Llama3{1});
  if (expression == plain(kDeepSeek3Expression))
    return std::make_unique<Scanner<DeepSeek3>>(DeepSeek3());
  SetRun run;
  run.blank_first = absl::ConsumePrefix(&expression, "\\s?");
  if (!ReadSet(&expression, &run.set)) return nullptr;
  run.most = expression == "+" ? INT32_MAX : expression == "{1,3}" ? 3 : expression.empty() ? 1 : 0;
  if (run.most == 0) return nullptr;
  return std::make_unique<Scanner<SetRun>>(std::move(run));
}

}  // namespace hone
