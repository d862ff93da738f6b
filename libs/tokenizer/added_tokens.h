#pragma once

// Finds added tokens in text: leftmost first, of those that start there the longest. Internal to
// libs/tokenizer; immutable, so thread-safe.

#include <array>
#include <bitset>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "libs/tokenizer/tokenizer.h"
#include "libs/tokenizer/vocabulary.h"

namespace hone {

// A stretch of text, as a byte range: an added token, or text without any.
struct Section {
  size_t begin;
  size_t end;
  int32_t id;  // -1: text
};

class AddedTokenFinder {
 public:
  // Looks for `form` (what the token looks like in the text that will be searched; ignored when
  // empty). Of two tokens with one form the first wins.
  void Add(const AddedToken& token, absl::string_view form);

  // Cuts `text` into sections that cover it in order; no text section is empty. Unless
  // `parse_special`, special tokens are left as text; so are tokens that touch `foreign` (ranges in
  // order). A token that swallows white space (lstrip, rstrip) covers it.
  std::vector<Section> Split(absl::string_view text, bool parse_special,
                             absl::Span<const ByteRange> foreign = {}) const;

 private:
  // Index into tokens_ of the longest token at text[at], -1 for none; sets *end.
  int Longest(absl::string_view text, size_t at, size_t* end) const;

  std::vector<AddedToken> tokens_;
  // A trie: (node << 8 | byte) -> child; the root is node 0.
  absl::flat_hash_map<uint64_t, int32_t> children_;
  std::vector<int32_t> token_at_{-1};  // by node: index into tokens_, or -1
  std::bitset<256> first_bytes_;
};

}  // namespace hone
