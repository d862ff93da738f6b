#include "libs/reward/math/normalise.h"

#include <array>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"

namespace hone::math {
namespace {

constexpr char kDegree = '\x02';

struct Spelling {
  absl::string_view from, to;
};

constexpr Spelling kUnicode[] = {
    {"\u2212", "-"},     {"\u2013", "-"},       {"\u00d7", "\\times "}, {"\u00f7", "/"},
    {"\u03c0", "\\pi "}, {"\u221a", "\\sqrt "}, {"\u221e", "\\infty "}, {"\u2264", "\\le "},
    {"\u2265", "\\ge "}, {"\u2260", "\\ne "},   {"\u00b0", "\x02"},     {"\u00a0", " "},
    {"\u2009", " "},     {"\u202f", " "},       {"\u2019", "'"},        {"\u00b7", "\\cdot "},
    {"\u00b1", "\\pm "}, {"\u222a", "\\cup "},
};

// Commands without an argument that are spelt otherwise, or not at all.
constexpr Spelling kCommands[] = {
    {"dfrac", "\\frac "}, {"tfrac", "\\frac "}, {"cfrac", "\\frac "}, {"leq", "\\le "},
    {"geq", "\\ge "},     {"neq", "\\ne "},     {"circ", "\x02"},     {"degree", "\x02"},
    {"left", ""},         {"right", ""},        {"displaystyle", ""}, {"big", ""},
    {"Big", ""},          {"bigl", ""},         {"bigr", ""},         {"quad", " "},
    {"qquad", " "},       {"thinspace", " "},   {"limits", ""},       {"dollar", ""},
};

// Commands that only say how their argument looks.
constexpr absl::string_view kWrappers[] = {
    "text",   "mbox",   "hbox",  "mathrm", "textbf", "textit", "textrm",     "mathbf",
    "mathit", "textup", "boxed", "fbox",   "rm",     "bf",     "textnormal", "operatorname",
};

class Cleaner {
 public:
  explicit Cleaner(absl::string_view in) : in_(in) { out_.reserve(in.size() + 16); }

  std::string Run() {
    while (at_ < in_.size()) Next();
    return std::move(out_);
  }

 private:
  void Next() {
    const unsigned char c = in_[at_];
    if (c == '\\') return Backslash();
    if (c == '{') {
      ++at_;
      braces_.push_back(false);
      out_ += '{';
    } else if (c == '}') {
      ++at_;
      const bool wrapper = !braces_.empty() && braces_.back();
      if (!braces_.empty()) braces_.pop_back();
      out_ += wrapper ? ' ' : '}';
    } else if (c == '$' || c == '`') {
      ++at_;
    } else if (c == '~' || absl::ascii_isspace(c)) {
      ++at_;
      Space();
    } else if (c < 0x20 || c == 0x7f) {
      ++at_;
    } else if (c >= 0x80 && Unicode()) {
    } else {
      ++at_;
      out_ += static_cast<char>(c);
    }
  }

  void Space() {
    if (!out_.empty() && out_.back() != ' ') out_ += ' ';
  }

  bool Unicode() {
    for (const Spelling& s : kUnicode) {
      if (!absl::StartsWith(in_.substr(at_), s.from)) continue;
      at_ += s.from.size();
      out_.append(s.to.data(), s.to.size());
      return true;
    }
    return false;
  }

  void Backslash() {
    ++at_;
    if (at_ >= in_.size()) return;
    const char c = in_[at_];
    if (absl::ascii_isalpha(c)) return Command();
    ++at_;
    switch (c) {
      case '!':
        // ",\! 349" is a thousands separator.
        if (!out_.empty() && out_.back() == ',')
          while (at_ < in_.size() && absl::ascii_isspace(in_[at_])) ++at_;
        break;
      case ',':
      case ';':
      case ':':
      case ' ':
      case '>':
        Space();
        break;
      case '$':
      case '(':
      case ')':
      case '[':
      case ']':
        break;
      case '%':
      case '#':
      case '&':
      case '_':
        out_ += c;
        break;
      default:
        out_ += '\\';
        out_ += c;
    }
  }

  void Command() {
    const size_t begin = at_;
    while (at_ < in_.size() && absl::ascii_isalpha(in_[at_])) ++at_;
    const absl::string_view name = in_.substr(begin, at_ - begin);
    for (absl::string_view wrapper : kWrappers) {
      if (name != wrapper) continue;
      out_ += kWrapped;
      const absl::string_view rest = absl::StripLeadingAsciiWhitespace(in_.substr(at_));
      if (absl::StartsWith(rest, "{")) {
        at_ = in_.size() - rest.size() + 1;
        braces_.push_back(true);
      }
      return;
    }
    for (const Spelling& s : kCommands) {
      if (name != s.from) continue;
      out_.append(s.to.data(), s.to.size());
      return;
    }
    out_ += '\\';
    out_.append(name.data(), name.size());
    // Ends the command: "\pi r" must not become "\pir" when spaces go, nor "\le5" differ from "\le
    // 5".
    out_ += ' ';
  }

  absl::string_view in_;
  size_t at_ = 0;
  std::string out_;
  std::vector<bool> braces_;  // open ones: whether it is a wrapper's
};

// `s` without white space, emphasis, marks and full stops around it.
absl::string_view Trim(absl::string_view s) {
  auto drop = [](char c) { return c == ' ' || c == '*' || c == kWrapped; };
  while (!s.empty() && drop(s.front())) s.remove_prefix(1);
  while (!s.empty() && (drop(s.back()) || s.back() == '.')) s.remove_suffix(1);
  return s;
}

// The argument at the head of `s` in braces: "{12}" of "{12}x", "1" of "12"; taken off `s`.
std::string TakeArgument(absl::string_view* s) {
  if (s->empty()) return "{}";
  size_t end = 1;
  if ((*s)[0] == '{') {
    int depth = 0;
    for (end = 0; end < s->size(); ++end) {
      if ((*s)[end] == '{') ++depth;
      if ((*s)[end] == '}' && --depth == 0) break;
    }
    end = std::min(end + 1, s->size());
    std::string whole(s->substr(0, end));
    s->remove_prefix(end);
    return whole;
  }
  if ((*s)[0] == '\\')
    while (end < s->size() && absl::ascii_isalpha((*s)[end])) ++end;
  std::string braced = "{" + std::string(s->substr(0, end)) + "}";
  s->remove_prefix(end);
  return braced;
}

}  // namespace

std::string Clean(absl::string_view answer) {
  std::string s = Cleaner(answer).Run();
  absl::StrReplaceAll({{"{,}", ","}}, &s);
  // ^{\circ}, ^\circ and a bare degree sign.
  if (s.find(kDegree) != s.npos)
    absl::StrReplaceAll({{"^{\x02}", " degree "},
                         {"^\x02", " degree "},
                         {"^ \x02", " degree "},
                         {"\x02", " degree "}},
                        &s);
  absl::string_view trimmed = Trim(s);
  // "{5}": braces around everything.
  while (trimmed.size() >= 2 && trimmed.front() == '{' && trimmed.back() == '}' &&
         trimmed.find_first_of("{}", 1) == trimmed.size() - 1)
    trimmed = Trim(trimmed.substr(1, trimmed.size() - 2));
  return std::string(trimmed);
}

std::string CanonicalText(absl::string_view clean) {
  bool words = true;
  size_t letters = 0;
  std::string tight;
  for (char c : clean) {
    if (c == ' ' || c == kWrapped) continue;
    if (!absl::ascii_isalpha(c) && c != '\'' && c != '-') words = false;
    if (absl::ascii_isalpha(c)) ++letters;
    tight += c;
  }
  if (words && letters >= 2) return absl::AsciiStrToLower(tight);
  absl::StrReplaceAll({{"{bmatrix}", "{pmatrix}"}}, &tight);
  if (tight.size() == 3 && tight[0] == '(' && tight[2] == ')' && absl::ascii_isalpha(tight[1]))
    return tight.substr(1, 1);

  std::string out;
  absl::string_view s = tight;
  while (!s.empty()) {
    if (absl::ConsumePrefix(&s, "\\frac")) {
      // One level: what is inside the arguments is compared as written.
      const std::string numerator = TakeArgument(&s);
      out += "\\frac" + numerator + TakeArgument(&s);
    } else if (absl::StartsWith(s, "\\sqrt") && !absl::StartsWith(s, "\\sqrt[")) {
      s.remove_prefix(5);
      out += "\\sqrt" + TakeArgument(&s);
    } else {
      out += s[0];
      s.remove_prefix(1);
    }
  }
  return out;
}

}  // namespace hone::math
