#include "libs/tokenizer/regex.h"

#include <oniguruma.h>

#include <mutex>

#include "absl/strings/str_cat.h"
#include "libs/base/check.h"
#include "libs/base/status.h"
#include "libs/tokenizer/json.h"
#include "libs/tokenizer/scanner.h"
#include "libs/tokenizer/unicode.h"

namespace hone {
namespace {

constexpr size_t kMaxPatternBytes = 64 << 10;
// Backtracking steps of one search: 1-2 seconds. Real pipelines need a few per character.
constexpr unsigned long kMaxSteps = 100'000'000;

void InitializeEngine() {
  static std::once_flag once;
  std::call_once(once, [] {
    OnigEncoding encodings[] = {ONIG_ENCODING_UTF8};
    HONE_CHECK(onig_initialize(encodings, 1) == ONIG_NORMAL) << "Oniguruma does not start";
    onig_set_retry_limit_in_match(kMaxSteps);
    onig_set_retry_limit_in_search(kMaxSteps);
  });
}

std::string EngineMessage(int code, OnigErrorInfo* info) {
  UChar text[ONIG_MAX_ERROR_MESSAGE_LEN];
  const int n = info != nullptr ? onig_error_code_to_str(text, code, info)
                                : onig_error_code_to_str(text, code);
  return std::string(reinterpret_cast<const char*>(text), n);
}

class LiteralPattern : public Pattern {
 public:
  explicit LiteralPattern(absl::string_view text) : text_(text) {}

  absl::Status FindAll(absl::string_view text, std::vector<Match>* matches) const override {
    for (size_t at = text.find(text_); at != absl::string_view::npos;
         at = text.find(text_, at + text_.size()))
      matches->push_back({at, at + text_.size()});
    return absl::OkStatus();
  }

 private:
  std::string text_;
};

class EnginePattern : public Pattern {
 public:
  EnginePattern(std::string expression, regex_t* regex)
      : expression_(std::move(expression)), regex_(regex) {}
  ~EnginePattern() override { onig_free(regex_); }
  EnginePattern(const EnginePattern&) = delete;
  EnginePattern& operator=(const EnginePattern&) = delete;

  absl::Status FindAll(absl::string_view text, std::vector<Match>* matches) const override {
    const auto* const begin = reinterpret_cast<const UChar*>(text.data());
    const auto* const end = begin + text.size();
    static thread_local const std::unique_ptr<OnigRegion, void (*)(OnigRegion*)> region(
        onig_region_new(), [](OnigRegion* r) { onig_region_free(r, 1); });
    size_t at = 0;
    size_t last_end = std::string::npos;
    while (at <= text.size()) {
      const int found =
          onig_search(regex_, begin, end, begin + at, end, region.get(), ONIG_OPTION_NONE);
      if (found == ONIG_MISMATCH) break;
      if (found < 0)
        return absl::ResourceExhaustedError(
            absl::StrCat("regular expression ", expression_, " on a piece of ", text.size(),
                         " bytes, from byte ", at, ": ", EngineMessage(found, nullptr)));
      const Match match{static_cast<size_t>(region->beg[0]), static_cast<size_t>(region->end[0])};
      if (match.begin == match.end && match.end == last_end) {
        // An empty match right behind the last one is not a new one.
        at += at < text.size() ? CodePointAt(text, at).length : 1;
        continue;
      }
      matches->push_back(match);
      at = last_end = match.end;
    }
    return absl::OkStatus();
  }

 private:
  std::string expression_;
  regex_t* regex_;  // read-only while searching
};

// `\s+$`, which DeepSeek pipelines hold and which costs a backtracking engine the square of the
// length of a run of blanks. As in Ruby, `$` also stands before every line feed.
class TrailingBlanksPattern : public Pattern {
 public:
  absl::Status FindAll(absl::string_view text, std::vector<Match>* matches) const override {
    size_t at = 0;
    while (at < text.size()) {
      size_t end = at;
      size_t last_newline = at;
      while (end < text.size()) {
        const CodePoint c = CodePointAt(text, end);
        if (!IsWhitespace(c.value)) break;
        if (c.value == '\n') last_newline = end;
        end += c.length;
      }
      if (end == at) {
        at += CodePointAt(text, at).length;
        continue;
      }
      if (end == text.size())
        matches->push_back({at, end});
      else if (last_newline > at)
        matches->push_back({at, last_newline});
      at = end;
    }
    return absl::OkStatus();
  }
};

}  // namespace

std::unique_ptr<Pattern> Pattern::Literal(absl::string_view text) {
  HONE_CHECK(!text.empty()) << "an empty literal matches everywhere";
  return std::make_unique<LiteralPattern>(text);
}

absl::StatusOr<std::unique_ptr<Pattern>> Pattern::Regex(absl::string_view expression) {
  if (expression.size() > kMaxPatternBytes)
    return absl::InvalidArgumentError(absl::StrCat("regular expression of ", expression.size(),
                                                   " bytes, expected at most ", kMaxPatternBytes));
  if (expression == "\\s+$") return std::make_unique<TrailingBlanksPattern>();
  if (auto scanner = MakeScanner(expression)) return scanner;
  return Engine(expression);
}

absl::StatusOr<std::unique_ptr<Pattern>> Pattern::Engine(absl::string_view expression) {
  InitializeEngine();
  const auto* const begin = reinterpret_cast<const UChar*>(expression.data());
  regex_t* regex = nullptr;
  OnigErrorInfo info;
  const int code = onig_new(&regex, begin, begin + expression.size(), ONIG_OPTION_NONE,
                            ONIG_ENCODING_UTF8, ONIG_SYNTAX_DEFAULT, &info);
  if (code != ONIG_NORMAL)
    return absl::InvalidArgumentError(
        absl::StrCat("regular expression ", expression, ": ", EngineMessage(code, &info)));
  return std::make_unique<EnginePattern>(std::string(expression), regex);
}

absl::StatusOr<std::unique_ptr<Pattern>> Pattern::Parse(const JsonNode& node) {
  const JsonNode literal = node.Find("String");
  if (!literal.is_null()) {
    HONE_ASSIGN_OR_RETURN(const std::string text, literal.String());
    if (text.empty()) return literal.Error("empty, expected a text to look for");
    return Literal(text);
  }
  const JsonNode expression = node.Find("Regex");
  if (expression.is_null()) return node.Error("expected {\"String\": ...} or {\"Regex\": ...}");
  HONE_ASSIGN_OR_RETURN(const std::string text, expression.String());
  auto regex = Regex(text);
  if (!regex.ok()) return expression.Error(regex.status().message());
  return regex;
}

}  // namespace hone
