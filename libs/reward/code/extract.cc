#include "libs/reward/code/extract.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "libs/reward/template.h"

namespace hone::code {
namespace {

bool IsWord(char c) {
  return absl::ascii_isalnum(c) || c == '_' || c == '$';
}

// The word that ends before `end`, white space apart.
absl::string_view WordBefore(absl::string_view text, size_t end) {
  while (end > 0 && absl::ascii_isspace(text[end - 1])) --end;
  size_t begin = end;
  while (begin > 0 && IsWord(text[begin - 1])) --begin;
  return text.substr(begin, end - begin);
}

// Where the bracket that opens at `open` is closed; npos: nowhere.
size_t Closing(absl::string_view text, size_t open) {
  int depth = 0;
  for (size_t i = open; i < text.size(); ++i) {
    if (text[i] == '(') ++depth;
    if (text[i] == ')' && --depth == 0) return i;
  }
  return absl::string_view::npos;
}

// Calls `found(position)` for each occurrence of `name` as a whole word, until it says true.
template <typename F>
bool AnyWord(absl::string_view text, absl::string_view name, F found) {
  for (size_t at = text.find(name); at != text.npos; at = text.find(name, at + 1)) {
    const bool whole = (at == 0 || !IsWord(text[at - 1])) &&
                       (at + name.size() == text.size() || !IsWord(text[at + name.size()]));
    if (whole && found(at)) return true;
  }
  return false;
}

absl::string_view Line(absl::string_view text, size_t at) {
  const size_t begin = at == 0 ? 0 : text.rfind('\n', at - 1) + 1;  // npos + 1 is 0
  return text.substr(begin, text.find('\n', at) - begin);
}

// Of a function, from its name on: keeps hostile texts linear.
constexpr size_t kLongestHead = 4096;

// (...) {, for languages of braces.
bool HeadFollows(absl::string_view text) {
  const absl::string_view from = absl::StripLeadingAsciiWhitespace(text.substr(0, kLongestHead));
  if (!absl::StartsWith(from, "(")) return false;
  const size_t close = Closing(from, 0);
  if (close == from.npos) return false;
  absl::string_view rest = absl::StripLeadingAsciiWhitespace(from.substr(close + 1));
  for (absl::string_view word : {"const", "noexcept"})
    if (absl::ConsumePrefix(&rest, word)) rest = absl::StripLeadingAsciiWhitespace(rest);
  return absl::StartsWith(rest, "{");
}

// What stands before the line in which the prompt's function begins: imports and the like.
std::string Preamble(const Problem& p) {
  size_t head = std::string::npos;
  AnyWord(p.prompt, p.entry_point, [&](size_t at) {
    const absl::string_view line = Line(p.prompt, at);
    const bool starts =
        p.language == Language::kPython
            ? absl::StartsWith(line, "def ") || absl::StartsWith(line, "async def ")
            : HeadFollows(absl::string_view(p.prompt).substr(at + p.entry_point.size()));
    if (starts) head = static_cast<size_t>(line.data() - p.prompt.data());
    return starts;
  });
  return head == std::string::npos ? "" : p.prompt.substr(0, head);
}

std::string GoOn(const Problem& p, absl::string_view text) {
  size_t end = text.size();
  for (const std::string& stop : p.stop)
    if (!stop.empty()) end = std::min(end, text.find(stop));
  text = text.substr(0, end);
  std::string source = absl::StrCat(p.prompt, text);
  // MultiPL-E: the brace that closes the function is the tests' where the completion stops at it.
  const bool open =
      std::count(text.begin(), text.end(), '{') >= std::count(text.begin(), text.end(), '}');
  if (p.form == Form::kMultiPl && absl::StartsWith(p.tests[0], "}") && open) source += "\n}\n";
  return source;
}

std::string Assemble(const Problem& p, Language language, absl::string_view code) {
  if (p.form == Form::kPrograms || p.form == Form::kAssertions) return std::string(code);
  if (!Defines(code, p.entry_point, language)) return GoOn(p, code);
  const bool complete = language == Language::kShell || language == Language::kJavaScript ||
                        (language == Language::kCpp && absl::StrContains(code, "#include"));
  return complete ? std::string(code) : absl::StrCat(Preamble(p), code);
}

}  // namespace

std::vector<Fence> FindFences(absl::string_view text) {
  std::vector<Fence> fences;
  size_t ticks = 0;  // of the open fence; 0: none is open
  size_t indent = 0;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    const absl::string_view from = absl::StripLeadingAsciiWhitespace(line);
    size_t run = 0;
    while (run < from.size() && from[run] == '`') ++run;
    const absl::string_view rest = absl::StripAsciiWhitespace(from.substr(run));
    if (ticks == 0) {
      if (run < 3 || absl::StrContains(rest, "`")) continue;
      ticks = run;
      indent = line.size() - from.size();
      const size_t word = rest.find_first_of(" \t{,:");
      fences.push_back({absl::AsciiStrToLower(rest.substr(0, word)), ""});
    } else if (run >= ticks && rest.empty()) {
      ticks = 0;
    } else {
      size_t drop = 0;
      while (drop < indent && drop < line.size() && (line[drop] == ' ' || line[drop] == '\t'))
        ++drop;
      absl::StrAppend(&fences.back().code, line.substr(drop), "\n");
    }
  }
  return fences;
}

std::string PromptedFunction(absl::string_view prompt, Language language) {
  const absl::string_view text = absl::StripTrailingAsciiWhitespace(prompt);
  if (language == Language::kPython) {
    const size_t def = text.rfind("\ndef ");
    const size_t begin =
        def == text.npos ? (absl::StartsWith(text, "def ") ? 4 : text.npos) : def + 5;
    if (begin == text.npos) return "";
    return std::string(text.substr(begin, text.find('(', begin) - begin));
  }
  if (!absl::EndsWith(text, "{")) return "";
  // The head is the last line that has a parenthesis.
  const absl::string_view line = Line(text, text.size() - 1);
  const size_t open = line.find('(');
  return open == line.npos ? "" : std::string(WordBefore(line, open));
}

bool Defines(absl::string_view code, absl::string_view name, Language language) {
  if (name.empty()) return false;
  return AnyWord(code, name, [&](size_t at) {
    absl::string_view before = code.substr(0, at);
    const absl::string_view after = code.substr(at + name.size());
    const absl::string_view next = absl::StripLeadingAsciiWhitespace(after.substr(0, 64));
    const bool assigned = absl::StartsWith(next, "=") && !absl::StartsWith(next, "==");
    switch (language) {
      case Language::kPython: {
        const bool defined =
            absl::ConsumeSuffix(&before, "def ") || absl::ConsumeSuffix(&before, "class ");
        if (defined) absl::ConsumeSuffix(&before, "async ");
        return (defined || assigned) && (before.empty() || absl::EndsWith(before, "\n"));
      }
      case Language::kCpp: {
        // A type stands before it: a word, or the end of one with arguments or of a pointer.
        before = absl::StripTrailingAsciiWhitespace(before);
        const char last = before.empty() ? '\0' : before.back();
        return (IsWord(last) || last == '>' || last == '*' || last == '&') && HeadFollows(after);
      }
      case Language::kJavaScript:
        return assigned || WordBefore(code, at) == "function";
      case Language::kShell:
        return absl::StartsWith(next, "()") || absl::StartsWith(next, "( )") ||
               WordBefore(code, at) == "function";
    }
    return false;
  });
}

std::optional<Extracted> ExtractProgram(const v1::ScoreItem& item, const Problem& problem,
                                        Extraction extraction, std::string* why) {
  const std::optional<absl::string_view> text = AfterThinking(item);
  if (!text.has_value()) {
    *why = "the thoughts do not end";
    return std::nullopt;
  }
  Extracted found;
  found.language = problem.language;
  const std::vector<Fence> fences =
      extraction == Extraction::kBare ? std::vector<Fence>() : FindFences(*text);
  if (fences.empty()) {
    if (extraction == Extraction::kFenced || absl::StripAsciiWhitespace(*text).empty()) {
      *why = extraction == Extraction::kFenced ? "no code block" : "no program";
      return std::nullopt;
    }
    absl::string_view bare = *text;
    while (absl::ConsumePrefix(&bare, "\n") || absl::ConsumePrefix(&bare, "\r")) continue;
    found.source = Assemble(problem, found.language, bare);
    return found;
  }
  // Best: the last block that defines the function under test; then the last of the language; then
  // the last that does not say its language.
  const Fence* best = nullptr;
  int best_rank = 0;
  Language best_language = problem.language;
  for (const Fence& fence : fences) {
    Language tagged = problem.language;
    const bool known = LanguageByName(fence.tag, &tagged);
    if (!fence.tag.empty() && (!known || (!problem.any_language && tagged != problem.language)))
      continue;
    const int rank = (known ? 2 : 1) + (Defines(fence.code, problem.entry_point, tagged) ? 2 : 0);
    if (rank < best_rank || absl::StripAsciiWhitespace(fence.code).empty()) continue;
    best = &fence;
    best_rank = rank;
    best_language = tagged;
  }
  if (best == nullptr) {
    *why =
        absl::StrCat("no code block of ", LanguageNames()[static_cast<size_t>(problem.language)]);
    return std::nullopt;
  }
  found.language = best_language;
  found.source = Assemble(problem, best_language, best->code);
  return found;
}

}  // namespace hone::code
