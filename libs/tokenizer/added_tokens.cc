#include "libs/tokenizer/added_tokens.h"

#include <algorithm>

#include "libs/tokenizer/unicode.h"

namespace hone {
namespace {

size_t PreviousBoundary(absl::string_view text, size_t at) {
  do {
    --at;
  } while ((static_cast<unsigned char>(text[at]) & 0xC0) == 0x80);
  return at;
}

bool EndsWithWord(absl::string_view text, size_t end) {
  return end > 0 && IsWord(CodePointAt(text, PreviousBoundary(text, end)).value);
}

bool StartsWithWord(absl::string_view text, size_t begin) {
  return begin < text.size() && IsWord(CodePointAt(text, begin).value);
}

}  // namespace

void AddedTokenFinder::Add(const AddedToken& token, absl::string_view form) {
  if (form.empty()) return;
  int32_t node = 0;
  for (const char c : form) {
    const uint64_t key = uint64_t{static_cast<uint32_t>(node)} << 8 | static_cast<unsigned char>(c);
    const auto [it, added] = children_.try_emplace(key, static_cast<int32_t>(token_at_.size()));
    if (added) token_at_.push_back(-1);
    node = it->second;
  }
  first_bytes_.set(static_cast<unsigned char>(form[0]));
  if (token_at_[node] >= 0) return;
  token_at_[node] = static_cast<int32_t>(tokens_.size());
  tokens_.push_back(token);
}

int AddedTokenFinder::Longest(absl::string_view text, size_t at, size_t* end) const {
  int best = -1;
  int32_t node = 0;
  for (size_t i = at; i < text.size(); ++i) {
    const auto it = children_.find(uint64_t{static_cast<uint32_t>(node)} << 8 |
                                   static_cast<unsigned char>(text[i]));
    if (it == children_.end()) break;
    node = it->second;
    if (token_at_[node] >= 0) {
      best = token_at_[node];
      *end = i + 1;
    }
  }
  return best;
}

std::vector<Section> AddedTokenFinder::Split(absl::string_view text, bool parse_special,
                                             absl::Span<const ByteRange> foreign) const {
  std::vector<Section> sections;
  size_t range = 0;  // the first of `foreign` that does not lie before `at`
  size_t done = 0;   // everything before is in a section
  size_t at = 0;
  while (!tokens_.empty() && at < text.size()) {
    size_t end = 0;
    const int found =
        first_bytes_.test(static_cast<unsigned char>(text[at])) ? Longest(text, at, &end) : -1;
    if (found < 0) {
      ++at;
      continue;
    }
    while (range < foreign.size() && foreign[range].end <= at) ++range;
    if (range < foreign.size() && foreign[range].begin < end) {
      ++at;  // a token of the template may begin behind the foreign part
      continue;
    }
    // The search goes on behind a match even where the match is turned down below.
    size_t begin = at;
    at = end;
    const AddedToken& token = tokens_[found];
    if (token.special && !parse_special) continue;
    if (token.single_word && (EndsWithWord(text, begin) || StartsWithWord(text, end))) continue;
    if (token.lstrip) {
      while (begin > done) {
        const size_t previous = PreviousBoundary(text, begin);
        if (!IsWhitespace(CodePointAt(text, previous).value)) break;
        begin = previous;
      }
    }
    if (token.rstrip) {
      while (end < text.size()) {
        const CodePoint c = CodePointAt(text, end);
        if (!IsWhitespace(c.value)) break;
        end += c.length;
      }
    }
    if (done < begin) sections.push_back({done, begin, -1});
    sections.push_back({begin, end, token.id});
    done = std::max(done, end);
  }
  if (done < text.size()) sections.push_back({done, text.size(), -1});
  return sections;
}

}  // namespace hone
