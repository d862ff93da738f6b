#include <algorithm>
#include <array>
#include <cstdint>
#include <queue>

#include "absl/container/flat_hash_map.h"
#include "absl/container/inlined_vector.h"
#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/tokenizer/json.h"
#include "libs/tokenizer/piece_cache.h"
#include "libs/tokenizer/token_model.h"
#include "libs/tokenizer/unicode.h"

namespace hone {
namespace {

struct Merge {
  int32_t rank;
  int32_t result;
};

uint64_t PairKey(int32_t left, int32_t right) {
  return uint64_t{static_cast<uint32_t>(left)} << 32 | static_cast<uint32_t>(right);
}

using MergeTable = absl::flat_hash_map<uint64_t, Merge>;

struct BpeOptions {
  bool spell_bytes = false;
  bool byte_fallback = false;
  bool fuse_unk = false;
  bool ignore_merges = false;
  std::string continuing_prefix;  // in front of every symbol of a piece but the first
  std::string word_suffix;        // behind the last symbol of a piece
  int32_t unk = -1;               // -1: unknown symbols are dropped
};

struct Symbol {
  int32_t id;
  int32_t previous;  // index, -1 at the beginning
  int32_t next;      // index, -1 at the end
  uint32_t begin;    // bytes of the piece
  uint32_t length;   // 0: merged into its left neighbour
};
using Symbols = absl::InlinedVector<Symbol, 64>;

// A pair that could be merged when it was queued; the neighbours may have changed since.
struct Candidate {
  int32_t rank;
  int32_t at;  // index of the left symbol
  int32_t result;
};
// Lowest rank first, leftmost first on equal rank.
struct Later {
  bool operator()(const Candidate& a, const Candidate& b) const {
    return a.rank != b.rank ? a.rank > b.rank : a.at > b.at;
  }
};

class Bpe : public TokenModel {
 public:
  Bpe(const Vocabulary& vocabulary, BpeOptions options, MergeTable merges)
      : vocabulary_(vocabulary), options_(std::move(options)), merges_(std::move(merges)) {
    // The rank-list way of merging compares ranks, the heap results: see MergeAll.
    absl::flat_hash_map<int32_t, int32_t> rank_of;
    for (const auto& [pair, merge] : merges_)
      rank_by_result_ &= rank_of.try_emplace(merge.result, merge.rank).first->second == merge.rank;
    for (int b = 0; b < 256; ++b) {
      constexpr char kHex[] = "0123456789ABCDEF";
      byte_ids_[b] =
          vocabulary_.ModelId(std::string{'<', '0', 'x', kHex[b >> 4], kHex[b & 15], '>'});
    }
    plain_symbols_ = options_.continuing_prefix.empty() && options_.word_suffix.empty();
    for (char32_t c = 0; c < kDirect; ++c) {
      std::string text;
      AppendUtf8(c, &text);
      direct_ids_[c] = vocabulary_.ModelId(text);
    }
  }

  absl::Status Encode(absl::string_view piece, bool allow_special,
                      std::vector<int32_t>* ids) const override {
    if (cache_.Find(piece, ids)) return absl::OkStatus();
    if (!options_.spell_bytes) return EncodeNew(piece, piece, allow_special, ids);
    const auto& alphabet = ByteLevelAlphabet();
    std::string spelled;
    spelled.reserve(piece.size() * 2);
    for (const char c : piece) spelled += alphabet[static_cast<unsigned char>(c)];
    return EncodeNew(piece, spelled, allow_special, ids);
  }

 private:
  static constexpr char32_t kDirect = 0x180;  // covers ASCII and the byte-level alphabet
  static constexpr size_t kShort = 64;        // symbols

  // `piece` is the key under which the result is remembered, `text` what is encoded.
  absl::Status EncodeNew(absl::string_view piece, absl::string_view text, bool allow_special,
                         std::vector<int32_t>* ids) const {
    const size_t before = ids->size();
    if (options_.ignore_merges) {
      const int32_t id = vocabulary_.ModelId(text);
      if (id >= 0 && (allow_special || !Forbidden(id))) {
        ids->push_back(id);
        if (!Forbidden(id)) cache_.Insert(piece, ids->data() + before, 1);
        return absl::OkStatus();
      }
    }
    Symbols symbols;
    Split(text, &symbols);
    if (rank_by_result_ && symbols.size() <= kShort)
      MergeShort(&symbols);
    else
      MergeAll(&symbols);
    bool has_special = false;
    for (const Symbol& s : symbols) {
      if (s.length == 0) continue;
      if (Forbidden(s.id)) {
        has_special = true;
        if (!allow_special) {
          Spell(text.substr(s.begin, s.length), ids);
          continue;
        }
      }
      ids->push_back(s.id);
    }
    if (!has_special) cache_.Insert(piece, ids->data() + before, ids->size() - before);
    return absl::OkStatus();
  }

  bool Forbidden(int32_t id) const { return id != options_.unk && vocabulary_.IsSpecial(id); }

  int32_t SymbolId(absl::string_view text, char32_t c, bool first, bool last) const {
    if (plain_symbols_) return c < kDirect ? direct_ids_[c] : vocabulary_.ModelId(text);
    return vocabulary_.ModelId(absl::StrCat(first ? "" : options_.continuing_prefix, text,
                                            last ? options_.word_suffix : ""));
  }

  // One symbol per character, or what stands for a character that is no token.
  void Split(absl::string_view piece, Symbols* symbols) const {
    const auto add = [&](int32_t id, size_t begin, size_t length) {
      const auto i = static_cast<int32_t>(symbols->size());
      if (i > 0) symbols->back().next = i;
      symbols->push_back(
          {id, i - 1, -1, static_cast<uint32_t>(begin), static_cast<uint32_t>(length)});
    };
    // Unknown text that is not yet a symbol, because it may fuse with what follows.
    size_t unknown_begin = 0;
    size_t unknown_length = 0;
    const auto flush = [&] {
      if (unknown_length > 0) add(options_.unk, unknown_begin, unknown_length);
      unknown_length = 0;
    };
    for (size_t at = 0; at < piece.size();) {
      const CodePoint c = CodePointAt(piece, at);
      const absl::string_view text = piece.substr(at, c.length);
      const size_t begin = at;
      at += c.length;
      const int32_t id = SymbolId(text, c.value, begin == 0, at == piece.size());
      if (id >= 0) {
        flush();
        add(id, begin, c.length);
        continue;
      }
      if (options_.byte_fallback && AllBytesKnown(text)) {
        // Pending unknown text stays pending, as in the reference: it comes out behind these bytes.
        for (int k = 0; k < c.length; ++k) add(ByteId(text[k]), begin + k, 1);
        continue;
      }
      if (options_.unk < 0) continue;
      if (unknown_length > 0 && !options_.fuse_unk) flush();
      if (unknown_length == 0) unknown_begin = begin;
      unknown_length += c.length;
    }
    flush();
  }

  // Short pieces: one list of the ranks of neighbouring pairs, searched for its lowest each time.
  // Needs no queue, and what it does per merge is a few moves within a cache line or two. Only
  // where equal results have equal ranks: MergeAll may take a stale rank otherwise.
  void MergeShort(Symbols* symbols) const {
    constexpr int32_t kNone = INT32_MAX;
    Symbols& s = *symbols;
    std::array<int32_t, kShort> ranks;
    std::array<int32_t, kShort> results;
    size_t n = s.size();
    const auto look_up = [&](size_t i) {
      const auto it = merges_.find(PairKey(s[i].id, s[i + 1].id));
      ranks[i] = it == merges_.end() ? kNone : it->second.rank;
      results[i] = it == merges_.end() ? -1 : it->second.result;
    };
    for (size_t i = 0; i + 1 < n; ++i) look_up(i);
    while (n > 1) {
      size_t best = 0;
      for (size_t i = 1; i + 1 < n; ++i)
        if (ranks[i] < ranks[best]) best = i;
      if (ranks[best] == kNone) break;
      s[best].id = results[best];
      s[best].length += s[best + 1].length;
      for (size_t i = best + 1; i + 1 < n; ++i) {
        s[i] = s[i + 1];
        ranks[i] = ranks[i + 1];
        results[i] = results[i + 1];
      }
      --n;
      if (best > 0) look_up(best - 1);
      if (best + 1 < n) look_up(best);
    }
    s.resize(n);
  }

  void MergeAll(Symbols* symbols) const {
    Symbols& s = *symbols;
    std::vector<Candidate> queue;
    const auto candidate = [&](int32_t left) -> const Merge* {
      if (left < 0 || s[left].next < 0) return nullptr;
      const auto it = merges_.find(PairKey(s[left].id, s[s[left].next].id));
      return it == merges_.end() ? nullptr : &it->second;
    };
    queue.reserve(s.size());
    for (int32_t i = 0; i + 1 < static_cast<int32_t>(s.size()); ++i)
      if (const Merge* m = candidate(i)) queue.push_back({m->rank, i, m->result});
    std::make_heap(queue.begin(), queue.end(), Later());
    const auto push = [&](int32_t left) {
      if (const Merge* m = candidate(left)) {
        queue.push_back({m->rank, left, m->result});
        std::push_heap(queue.begin(), queue.end(), Later());
      }
    };
    while (!queue.empty()) {
      const Candidate top = queue.front();
      std::pop_heap(queue.begin(), queue.end(), Later());
      queue.pop_back();
      Symbol& left = s[top.at];
      if (left.length == 0) continue;
      // Stale when the pair is another one by now. Compared by result and not by rank, as in the
      // reference: vocabularies made from SentencePiece have several pairs with one result.
      const Merge* now = candidate(top.at);
      if (now == nullptr || now->result != top.result) continue;
      Symbol& right = s[left.next];
      left.id = top.result;
      left.length += right.length;
      left.next = right.next;
      right.length = 0;
      if (left.next >= 0) s[left.next].previous = top.at;
      push(left.previous);
      push(top.at);
    }
  }

  // The ids of the characters of `text`, which as a whole spells a special token.
  void Spell(absl::string_view text, std::vector<int32_t>* ids) const {
    Symbols symbols;
    Split(text, &symbols);
    for (const Symbol& s : symbols) {
      if (!Forbidden(s.id))
        ids->push_back(s.id);
      else if (options_.unk >= 0)
        ids->push_back(options_.unk);
    }
  }

  int32_t ByteId(char b) const { return byte_ids_[static_cast<unsigned char>(b)]; }
  bool AllBytesKnown(absl::string_view text) const {
    return std::all_of(text.begin(), text.end(), [&](char b) { return ByteId(b) >= 0; });
  }

  const Vocabulary& vocabulary_;
  const BpeOptions options_;
  const MergeTable merges_;
  bool rank_by_result_ = true;               // merges with one result have one rank
  std::array<int32_t, 256> byte_ids_;        // of <0x00>..<0xFF>, -1 where absent
  std::array<int32_t, kDirect> direct_ids_;  // of one-character tokens, -1 where absent
  bool plain_symbols_;
  mutable PieceCache cache_;
};

// The two halves of merge `node`: "a b" or ["a", "b"].
absl::Status ParsePair(const nlohmann::json& merge, absl::string_view where,
                       absl::string_view* left, absl::string_view* right) {
  const auto error = [&](absl::string_view what) {
    return absl::InvalidArgumentError(absl::StrCat("tokenizer.json: ", where, ": ", what));
  };
  if (merge.is_string()) {
    const absl::string_view text = merge.get_ref<const std::string&>();
    const size_t space = text.find(' ');
    if (space == absl::string_view::npos || text.find(' ', space + 1) != absl::string_view::npos)
      return error(absl::StrCat("\"", text, "\", expected two tokens with one space between"));
    *left = text.substr(0, space);
    *right = text.substr(space + 1);
  } else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() &&
             merge[1].is_string()) {
    *left = merge[0].get_ref<const std::string&>();
    *right = merge[1].get_ref<const std::string&>();
  } else {
    return error("expected \"a b\" or [\"a\", \"b\"]");
  }
  return absl::OkStatus();
}

absl::StatusOr<MergeTable> ParseMerges(const JsonNode& node, const Vocabulary& vocabulary,
                                       absl::string_view prefix) {
  MergeTable merges;
  if (!node.value().is_array()) return node.Error("expected a list of merges");
  const nlohmann::json& list = node.value();
  merges.reserve(list.size());
  std::string joined;
  for (size_t rank = 0; rank < list.size(); ++rank) {
    const auto where = [&] { return absl::StrCat(node.path(), "[", rank, "]"); };
    absl::string_view left, right;
    if (absl::Status s = ParsePair(list[rank], "", &left, &right); !s.ok())
      return ParsePair(list[rank], where(), &left, &right);
    absl::string_view tail = right;
    if (!prefix.empty()) {
      if (tail.substr(0, prefix.size()) != prefix)
        return JsonNode(&list[rank], where())
            .Error(absl::StrCat("\"", right, "\" does not start with ", prefix));
      tail.remove_prefix(prefix.size());
    }
    joined.assign(left.data(), left.size());
    joined.append(tail.data(), tail.size());
    const int32_t a = vocabulary.ModelId(left);
    const int32_t b = vocabulary.ModelId(right);
    const int32_t c = vocabulary.ModelId(joined);
    if (a < 0 || b < 0 || c < 0)
      return JsonNode(&list[rank], where())
          .Error(absl::StrCat("\"",
                              a < 0   ? left
                              : b < 0 ? right
                                      : absl::string_view(joined),
                              "\" is not in the vocabulary"));
    merges.insert_or_assign(PairKey(a, b), Merge{static_cast<int32_t>(rank), c});
  }
  return merges;
}

// Every way to cut a token into two.
MergeTable MergesById(const Vocabulary& vocabulary) {
  MergeTable merges;
  for (int32_t id = 0; id < vocabulary.size(); ++id) {
    const absl::string_view token = vocabulary.Token(id);
    if (vocabulary.ModelId(token) != id) continue;
    for (size_t at = CodePointAt(token, 0).length; at < token.size();
         at += CodePointAt(token, at).length) {
      const int32_t left = vocabulary.ModelId(token.substr(0, at));
      const int32_t right = vocabulary.ModelId(token.substr(at));
      if (left >= 0 && right >= 0) merges[PairKey(left, right)] = {id, id};
    }
  }
  return merges;
}

}  // namespace

absl::StatusOr<std::unique_ptr<TokenModel>> MakeBpe(const JsonNode& model,
                                                    const Vocabulary& vocabulary, bool spell_bytes,
                                                    MergeRule rule) {
  BpeOptions o;
  o.spell_bytes = spell_bytes;
  HONE_ASSIGN_OR_RETURN(o.byte_fallback, model.Find("byte_fallback").BoolOr(false));
  HONE_ASSIGN_OR_RETURN(o.fuse_unk, model.Find("fuse_unk").BoolOr(false));
  HONE_ASSIGN_OR_RETURN(o.ignore_merges, model.Find("ignore_merges").BoolOr(false));
  const JsonNode dropout = model.Find("dropout");
  if (!dropout.is_null() && !(dropout.value().is_number() && dropout.value().get<double>() == 0))
    return dropout.Error("merge dropout would make encoding random, expected null or 0");
  if (const JsonNode prefix = model.Find("continuing_subword_prefix"); !prefix.is_null()) {
    HONE_ASSIGN_OR_RETURN(o.continuing_prefix, prefix.String());
  }
  if (const JsonNode suffix = model.Find("end_of_word_suffix"); !suffix.is_null()) {
    HONE_ASSIGN_OR_RETURN(o.word_suffix, suffix.String());
  }
  if (const JsonNode unk = model.Find("unk_token"); !unk.is_null()) {
    HONE_ASSIGN_OR_RETURN(const std::string text, unk.String());
    o.unk = vocabulary.ModelId(text);
    if (o.unk < 0) return unk.Error(absl::StrCat("\"", text, "\" is not in the vocabulary"));
  }
  MergeTable merges;
  if (rule == MergeRule::kById) {
    merges = MergesById(vocabulary);
  } else {
    HONE_ASSIGN_OR_RETURN(merges,
                          ParseMerges(model.Find("merges"), vocabulary, o.continuing_prefix));
  }
  return std::make_unique<Bpe>(vocabulary, std::move(o), std::move(merges));
}

}  // namespace hone
