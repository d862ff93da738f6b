#include "libs/reward/repetition.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_format.h"

namespace hone {
namespace {

constexpr uint64_t kBase = 0x9E3779B97F4A7C15;  // odd, so that multiplying loses nothing

uint64_t Mix(uint64_t x) {
  x ^= x >> 30;
  x *= 0xBF58476D1CE4E5B9;
  x ^= x >> 27;
  x *= 0x94D049BB133111EB;
  return x ^ (x >> 31);
}

// More than any context has; of a longer text the last ones are looked at, where loops are.
constexpr size_t kMostWords = size_t{1} << 19;

// One hash per word.
std::vector<uint64_t> Words(absl::string_view text) {
  constexpr size_t kLongest = 16;
  std::vector<uint64_t> words;
  words.reserve(text.size() / 4);
  for (size_t at = 0; at < text.size();) {
    const unsigned char c = static_cast<unsigned char>(text[at]);
    if (absl::ascii_isspace(c) || absl::ascii_iscntrl(c)) {
      ++at;
      continue;
    }
    size_t end = at + 1;
    if (c >= 0x80) {
      while (end < text.size() && (text[end] & 0xC0) == 0x80 && end - at < 4) ++end;
    } else if (absl::ascii_isalnum(c)) {
      while (end < text.size() && end - at < kLongest &&
             absl::ascii_isalnum(static_cast<unsigned char>(text[end])))
        ++end;
    }
    uint64_t hash = 0;
    for (; at < end; ++at)
      hash = hash * 257 +
             static_cast<unsigned char>(absl::ascii_tolower(static_cast<unsigned char>(text[at]))) +
             1;
    words.push_back(Mix(hash));
  }
  if (words.size() > kMostWords)
    words.erase(words.begin(), words.end() - static_cast<std::ptrdiff_t>(kMostWords));
  return words;
}

// How many of the hashes have occurred before. An open table of at most half full.
size_t Repeated(const std::vector<uint64_t>& hashes) {
  size_t size = 16;
  while (size < 2 * hashes.size()) size *= 2;
  std::vector<uint64_t> table(size, 0);
  size_t repeated = 0;
  for (uint64_t hash : hashes) {
    if (hash == 0) hash = 1;
    size_t at = hash & (size - 1);
    while (table[at] != 0 && table[at] != hash) at = (at + 1) & (size - 1);
    repeated += table[at] == hash;
    table[at] = hash;
  }
  return repeated;
}

class RepetitionScorer final : public Scorer {
 public:
  RepetitionScorer(size_t ngram, double allowed) : ngram_(ngram), allowed_(allowed) {}

  v1::ScorePart Score(const v1::ScoreItem& item, TimePoint) const override {
    const std::vector<uint64_t> words = Words(item.completion());
    if (words.size() < ngram_)
      return Scored(1, absl::StrFormat("%d words, fewer than %d", words.size(), ngram_));
    uint64_t leaving = 1;  // kBase^ngram
    for (size_t i = 0; i < ngram_; ++i) leaving *= kBase;
    std::vector<uint64_t> hashes;
    hashes.reserve(words.size() - ngram_ + 1);
    uint64_t rolling = 0;
    for (size_t i = 0; i < words.size(); ++i) {
      rolling = rolling * kBase + words[i];
      if (i >= ngram_) rolling -= leaving * words[i - ngram_];
      if (i + 1 >= ngram_) hashes.push_back(Mix(rolling));
    }
    const size_t repeated = Repeated(hashes);
    const double share = static_cast<double>(repeated) / static_cast<double>(hashes.size());
    return Scored(
        1 - std::max(0.0, share - allowed_) / (1 - allowed_),
        absl::StrFormat("%d of %d %d-grams occur again", repeated, hashes.size(), ngram_));
  }

 private:
  const size_t ngram_;
  const double allowed_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Scorer>> MakeRepetitionScorer(Options& options) {
  const int64_t ngram = options.Integer("ngram", 8, 1, 1000);
  const double allowed = options.Number("allowed", 0.1, 0, 0.99);
  return std::make_unique<RepetitionScorer>(static_cast<size_t>(ngram), allowed);
}

}  // namespace hone
