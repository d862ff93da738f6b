#include "libs/reward/language/scorer.h"

#include <cld2/public/compact_lang_det.h>
#include <cld2/public/encodings.h>
#include <unicode/uscript.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "libs/reward/language/prose.h"
#include "libs/reward/template.h"

namespace hone {
namespace {

using language::Word;

// In bytes. What is longer is no word of any language, but must not cost more than one.
constexpr size_t kLongestWord = 64;

absl::string_view Start(absl::string_view word) {
  if (word.size() <= kLongestWord) return word;
  size_t end = kLongestWord;
  while ((word[end] & 0xC0) == 0x80) --end;  // not within a character
  return word.substr(0, end);
}

struct Target {
  std::string code;
  CLD2::Language language = CLD2::UNKNOWN_LANGUAGE;
  std::vector<UScriptCode> scripts;
  bool Has(int script) const {
    return std::find(scripts.begin(), scripts.end(), script) != scripts.end();
  }
};

std::optional<Target> FindTarget(const std::string& code) {
  // The one code of ISO 639-1 that this library has by its older name.
  const std::string known = code == "he" ? "iw" : code;
  Target target{code, CLD2::GetLanguageFromName(known.c_str()), {}};
  UScriptCode scripts[8];
  UErrorCode error = U_ZERO_ERROR;
  const int32_t count = uscript_getCode(code.c_str(), scripts, 8, &error);
  if (target.language == CLD2::UNKNOWN_LANGUAGE || U_FAILURE(error) || count == 0)
    return std::nullopt;
  target.scripts.assign(scripts, scripts + count);
  return target;
}

// Scripts of which the name alone does not say the language.
bool IsShared(int script) {
  return script == USCRIPT_LATIN || script == USCRIPT_CYRILLIC || script == USCRIPT_ARABIC ||
         script == USCRIPT_DEVANAGARI;
}

struct Share {
  int64_t target = 0;
  int64_t known = 0;    // of some language that could be told
  int64_t unknown = 0;  // of a shared script, in a stretch without a language
  std::map<std::string, int64_t> others;
};

// The words of a shared script, by CLD2.
void CountShared(const std::vector<Word>& all, const Target& target, Share* share) {
  if (all.empty()) return;
  // Of a long text some stretches, evenly spread: CLD2 reads ten megabytes per second.
  constexpr size_t kStretch = 64, kMostWords = 16384;
  const size_t stride = (all.size() + kMostWords - 1) / kMostWords;
  // Words alone, so that what was left out of the text cannot mislead.
  std::string text;
  std::vector<size_t> begins;
  for (size_t i = 0; i < all.size(); ++i) {
    if (i / kStretch % stride != 0) continue;
    begins.push_back(text.size());
    absl::StrAppend(&text, Start(all[i].text), " ");
  }
  CLD2::CLDHints hints = {nullptr, nullptr, CLD2::UNKNOWN_ENCODING, CLD2::UNKNOWN_LANGUAGE};
  CLD2::Language language3[3];
  int percent3[3], text_bytes = 0;
  double score3[3];
  bool reliable = false;
  CLD2::ResultChunkVector chunks;
  CLD2::ExtDetectLanguageSummary(text.data(), static_cast<int>(text.size()),
                                 /*is_plain_text=*/true, &hints, /*flags=*/0, language3, percent3,
                                 score3, &chunks, &text_bytes, &reliable);
  int64_t right = 0, unknown = 0;
  std::map<CLD2::Language, int64_t> others;
  size_t chunk = 0;
  for (const size_t begin : begins) {
    const int at = static_cast<int>(begin);
    while (chunk < chunks.size() && chunks[chunk].offset + chunks[chunk].bytes <= at) ++chunk;
    const CLD2::Language found = chunk < chunks.size()
                                     ? static_cast<CLD2::Language>(chunks[chunk].lang1)
                                     : CLD2::UNKNOWN_LANGUAGE;
    if (found == CLD2::UNKNOWN_LANGUAGE || found == CLD2::TG_UNKNOWN_LANGUAGE)
      ++unknown;
    else if (found == target.language)
      ++right;
    else
      ++others[found];
  }
  // What was read stands for all.
  const double scale = static_cast<double>(all.size()) / static_cast<double>(begins.size());
  const auto scaled = [&](int64_t n) { return std::llround(static_cast<double>(n) * scale); };
  share->target += scaled(right);
  share->unknown += scaled(unknown);
  share->known += scaled(right);
  for (const auto& [language, n] : others) {
    share->known += scaled(n);
    share->others[CLD2::LanguageCode(language)] += scaled(n);
  }
}

Share Count(absl::string_view text, const Target& target) {
  const std::vector<Word> words = language::ProseWords(text);
  int64_t han = 0, kana = 0;
  for (const Word& word : words) {
    if (word.script == USCRIPT_HAN) han += word.count;
    if (word.script == USCRIPT_HIRAGANA || word.script == USCRIPT_KATAKANA) kana += word.count;
  }
  // A tenth is far from both: Japanese prose has about half, Chinese none.
  const bool japanese = kana > 0 && 10 * kana >= han + kana;
  Share share;
  std::vector<Word> shared;
  for (const Word& word : words) {
    if (IsShared(word.script) && target.Has(word.script)) {
      shared.push_back(word);
      continue;
    }
    bool right = target.Has(word.script);
    if (word.script == USCRIPT_HAN && right && target.code != "ko")
      right = japanese == (target.code == "ja");
    share.known += word.count;
    if (right) {
      share.target += word.count;
    } else {
      share.others[word.script == USCRIPT_HAN
                       ? (japanese ? "ja" : "zh")
                       : uscript_getName(static_cast<UScriptCode>(word.script))] += word.count;
    }
  }
  CountShared(shared, target, &share);
  return share;
}

class LanguageScorer final : public Scorer {
 public:
  // Without a target: that of each prompt.
  LanguageScorer(std::optional<Target> target, bool all, int64_t min_words)
      : target_(std::move(target)), all_(all), min_words_(min_words) {}

  v1::ScorePart Score(const v1::ScoreItem& item, TimePoint) const override {
    std::optional<Target> own;
    if (!target_.has_value()) {
      const auto& fields = item.prompt().metadata().fields();
      const auto it = fields.find("language");
      if (it == fields.end())
        return Unscored(v1::OUTCOME_BAD_REFERENCE, "prompt.metadata has no \"language\"");
      own = FindTarget(it->second.string_value());
      if (!own.has_value())
        return Unscored(
            v1::OUTCOME_BAD_REFERENCE,
            absl::StrCat("prompt.metadata.language is ", Quoted(it->second.ShortDebugString()),
                         ", expected a code as en or zh"));
    }
    const Target& target = target_.has_value() ? *target_ : *own;
    const Share share =
        Count(all_ ? StripSpecialTokens(item.completion()) : Thoughts(item), target);
    const int64_t words = share.known + share.unknown;
    if (words < min_words_)
      return Abstained(absl::StrFormat("%d words of prose, fewer than %d", words, min_words_));
    if (2 * share.known < words)
      return Abstained(
          absl::StrFormat("the language of %d of %d words cannot be told", share.unknown, words));
    const double value = static_cast<double>(share.target) / static_cast<double>(share.known);
    std::string reason =
        absl::StrFormat("%s: %d of %d words", target.code, share.target, share.known);
    if (share.unknown > 0) absl::StrAppendFormat(&reason, " (%d more unknown)", share.unknown);
    const auto most =
        std::max_element(share.others.begin(), share.others.end(),
                         [](const auto& a, const auto& b) { return a.second < b.second; });
    if (most != share.others.end())
      absl::StrAppendFormat(&reason, "; %s: %d", most->first, most->second);
    return Scored(value, reason);
  }

 private:
  const std::optional<Target> target_;
  const bool all_;
  const int64_t min_words_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Scorer>> MakeLanguageScorer(Options& options) {
  const std::string code = options.String("language", "en");
  const bool all = options.Choice("part", "thoughts", {"thoughts", "all"}) == "all";
  const int64_t min_words = options.Integer("min_words", 10, 1, 1'000'000);
  std::optional<Target> target;
  if (code != "prompt") {
    target = FindTarget(code);
    if (!target.has_value())
      return absl::InvalidArgumentError(
          absl::StrCat("option \"language\" of scorer \"language\" is ", Quoted(code),
                       ", expected a code as en or zh, or prompt"));
  }
  return std::make_unique<LanguageScorer>(std::move(target), all, min_words);
}

}  // namespace hone
