#include "libs/tokenizer/pre_tokenizer.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/tokenizer/json.h"
#include "libs/tokenizer/regex.h"
#include "libs/tokenizer/scanner.h"
#include "libs/tokenizer/unicode.h"

namespace hone {
namespace {

enum class Behavior { kRemoved, kIsolated, kMergedWithPrevious, kMergedWithNext, kContiguous };

struct Span {
  size_t begin;
  size_t end;
  bool is_match;
};

// Covers 0..size with the matches and what lies between them.
void Cover(const std::vector<Match>& matches, size_t size, bool invert, std::vector<Span>* spans) {
  size_t done = 0;
  for (const Match& m : matches) {
    if (done != m.begin) spans->push_back({done, m.begin, invert});
    spans->push_back({m.begin, m.end, !invert});
    done = m.end;
  }
  if (done != size) spans->push_back({done, size, invert});
}

void Arrange(Behavior behavior, std::vector<Span>* spans) {
  if (behavior == Behavior::kIsolated) return;
  std::vector<Span> out;
  bool previous = false;
  switch (behavior) {
    case Behavior::kIsolated:
      break;
    case Behavior::kRemoved:
      std::copy_if(spans->begin(), spans->end(), std::back_inserter(out),
                   [](const Span& s) { return !s.is_match; });
      break;
    case Behavior::kContiguous:
      for (const Span& s : *spans) {
        if (s.is_match == previous && !out.empty())
          out.back().end = s.end;
        else
          out.push_back(s);
        previous = s.is_match;
      }
      break;
    case Behavior::kMergedWithPrevious:
      for (const Span& s : *spans) {
        if (s.is_match && !previous && !out.empty())
          out.back().end = s.end;
        else
          out.push_back(s);
        previous = s.is_match;
      }
      break;
    case Behavior::kMergedWithNext:
      for (auto s = spans->rbegin(); s != spans->rend(); ++s) {
        if (s->is_match && !previous && !out.empty())
          out.back().begin = s->begin;
        else
          out.push_back(*s);
        previous = s->is_match;
      }
      std::reverse(out.begin(), out.end());
      break;
  }
  *spans = std::move(out);
}

// Replaces every piece by the parts of it that `spans_of` keeps.
template <typename SpansOf>
absl::Status SplitEach(Pieces* pieces, const SpansOf& spans_of) {
  std::vector<Piece> out;
  // A guess that spares most of the growing: pieces of real text have about five bytes.
  out.reserve(pieces->pieces.size() + pieces->text.size() / 5);
  std::vector<Span> spans;
  for (const Piece& piece : pieces->pieces) {
    const absl::string_view text =
        absl::string_view(pieces->text).substr(piece.begin, piece.end - piece.begin);
    spans.clear();
    HONE_RETURN_IF_ERROR(spans_of(text, &spans));
    for (const Span& s : spans)
      if (s.begin != s.end)
        out.push_back({piece.begin + s.begin, piece.begin + s.end, piece.at_start && s.begin == 0});
  }
  pieces->pieces = std::move(out);
  return absl::OkStatus();
}

// Rewrites the text of every piece: rewrite(piece, old text, &new text) appends.
template <typename Rewrite>
void RewriteEach(Pieces* pieces, const Rewrite& rewrite) {
  std::string text;
  text.reserve(pieces->text.size() + pieces->text.size() / 4);
  for (Piece& piece : pieces->pieces) {
    const size_t begin = text.size();
    rewrite(piece, absl::string_view(pieces->text).substr(piece.begin, piece.end - piece.begin),
            &text);
    piece.begin = begin;
    piece.end = text.size();
  }
  pieces->text = std::move(text);
}

class SequencePreTokenizer : public PreTokenizer {
 public:
  explicit SequencePreTokenizer(std::vector<std::unique_ptr<PreTokenizer>> parts)
      : parts_(std::move(parts)) {}
  absl::Status Apply(Pieces* pieces) const override {
    for (const auto& part : parts_) HONE_RETURN_IF_ERROR(part->Apply(pieces));
    return absl::OkStatus();
  }
  bool DropAlphabet() override { return !parts_.empty() && parts_.back()->DropAlphabet(); }

 private:
  std::vector<std::unique_ptr<PreTokenizer>> parts_;
};

class Split : public PreTokenizer {
 public:
  Split(std::unique_ptr<Pattern> pattern, Behavior behavior, bool invert)
      : pattern_(std::move(pattern)), behavior_(behavior), invert_(invert) {}
  absl::Status Apply(Pieces* pieces) const override {
    std::vector<Match> matches;
    return SplitEach(pieces, [&](absl::string_view text, std::vector<Span>* spans) -> absl::Status {
      matches.clear();
      HONE_RETURN_IF_ERROR(pattern_->FindAll(text, &matches));
      Cover(matches, text.size(), invert_, spans);
      Arrange(behavior_, spans);
      return absl::OkStatus();
    });
  }

 private:
  std::unique_ptr<Pattern> pattern_;
  Behavior behavior_;
  bool invert_;
};

// Every character of a class is a match of its own.
class SplitOnClass : public PreTokenizer {
 public:
  SplitOnClass(bool (*contains)(char32_t), Behavior behavior)
      : contains_(contains), behavior_(behavior) {}
  absl::Status Apply(Pieces* pieces) const override {
    std::vector<Match> matches;
    return SplitEach(pieces, [&](absl::string_view text, std::vector<Span>* spans) {
      matches.clear();
      for (size_t at = 0; at < text.size();) {
        const CodePoint c = CodePointAt(text, at);
        if (contains_(c.value)) matches.push_back({at, at + c.length});
        at += c.length;
      }
      Cover(matches, text.size(), false, spans);
      Arrange(behavior_, spans);
      return absl::OkStatus();
    });
  }

 private:
  bool (*contains_)(char32_t);
  Behavior behavior_;
};

// Keeps \w+ and [^\w\s]+, drops white space.
class Whitespace : public PreTokenizer {
 public:
  absl::Status Apply(Pieces* pieces) const override {
    return SplitEach(pieces, [](absl::string_view text, std::vector<Span>* spans) {
      int previous = 0;  // 0 white space, 1 word, 2 other
      for (size_t at = 0; at < text.size();) {
        const CodePoint c = CodePointAt(text, at);
        const int kind = IsWord(c.value) ? 1 : IsWhitespace(c.value) ? 0 : 2;
        if (kind != 0 && kind == previous)
          spans->back().end += c.length;
        else if (kind != 0)
          spans->push_back({at, at + c.length, false});
        previous = kind;
        at += c.length;
      }
      return absl::OkStatus();
    });
  }
};

class ByteLevel : public PreTokenizer {
 public:
  ByteLevel(bool add_prefix_space, std::unique_ptr<PreTokenizer> cut)
      : add_prefix_space_(add_prefix_space), cut_(std::move(cut)) {}
  absl::Status Apply(Pieces* pieces) const override {
    if (add_prefix_space_)
      RewriteEach(pieces, [](const Piece&, absl::string_view old, std::string* text) {
        if (old[0] != ' ') text->push_back(' ');
        text->append(old.data(), old.size());
      });
    if (cut_ != nullptr) HONE_RETURN_IF_ERROR(cut_->Apply(pieces));
    if (!spell_) return absl::OkStatus();
    const auto& alphabet = ByteLevelAlphabet();
    RewriteEach(pieces, [&](const Piece&, absl::string_view old, std::string* text) {
      for (const char c : old) text->append(alphabet[static_cast<unsigned char>(c)]);
    });
    return absl::OkStatus();
  }
  bool DropAlphabet() override {
    spell_ = false;
    return true;
  }

 private:
  bool spell_ = true;  // in the byte-level alphabet
  bool add_prefix_space_;
  std::unique_ptr<PreTokenizer> cut_;  // null: the pieces stay
};

class Metaspace : public PreTokenizer {
 public:
  enum class Scheme { kAlways, kFirst, kNever };
  Metaspace(std::string replacement, Scheme scheme, bool split)
      : replacement_(std::move(replacement)), scheme_(scheme) {
    if (split)
      cut_ =
          std::make_unique<Split>(Pattern::Literal(replacement_), Behavior::kMergedWithNext, false);
  }
  absl::Status Apply(Pieces* pieces) const override {
    RewriteEach(pieces, [&](const Piece& piece, absl::string_view old, std::string* text) {
      const bool wanted =
          scheme_ == Scheme::kAlways || (scheme_ == Scheme::kFirst && piece.at_start);
      // A leading blank becomes the mark anyway.
      if (wanted && old[0] != ' ' && old.substr(0, replacement_.size()) != replacement_)
        text->append(replacement_);
      for (const char c : old) {
        if (c == ' ')
          text->append(replacement_);
        else
          text->push_back(c);
      }
    });
    return cut_ == nullptr ? absl::OkStatus() : cut_->Apply(pieces);
  }

 private:
  std::string replacement_;
  Scheme scheme_;
  std::unique_ptr<PreTokenizer> cut_;
};

absl::StatusOr<Behavior> ParseBehavior(const JsonNode& node) {
  HONE_ASSIGN_OR_RETURN(const std::string name, node.String());
  if (name == "Removed") return Behavior::kRemoved;
  if (name == "Isolated") return Behavior::kIsolated;
  if (name == "MergedWithPrevious") return Behavior::kMergedWithPrevious;
  if (name == "MergedWithNext") return Behavior::kMergedWithNext;
  if (name == "Contiguous") return Behavior::kContiguous;
  return node.Error(absl::StrCat("\"", name,
                                 "\", expected Removed, Isolated, MergedWithPrevious, "
                                 "MergedWithNext or Contiguous"));
}

absl::StatusOr<std::unique_ptr<PreTokenizer>> ParseByteLevel(const JsonNode& node) {
  HONE_ASSIGN_OR_RETURN(const bool prefix, node.Find("add_prefix_space").BoolOr(true));
  HONE_ASSIGN_OR_RETURN(const bool use_regex, node.Find("use_regex").BoolOr(true));
  std::unique_ptr<PreTokenizer> cut;
  if (use_regex) {
    HONE_ASSIGN_OR_RETURN(auto pattern, Pattern::Regex(kGpt2Expression));
    cut = std::make_unique<Split>(std::move(pattern), Behavior::kIsolated, false);
  }
  return std::make_unique<ByteLevel>(prefix, std::move(cut));
}

absl::StatusOr<std::unique_ptr<PreTokenizer>> ParseMetaspace(const JsonNode& node) {
  HONE_ASSIGN_OR_RETURN(std::string replacement, node.Find("replacement").Character());
  HONE_ASSIGN_OR_RETURN(const bool split, node.Find("split").BoolOr(true));
  // Older files say add_prefix_space where newer ones have three schemes.
  HONE_ASSIGN_OR_RETURN(const bool prefix, node.Find("add_prefix_space").BoolOr(true));
  std::string name = prefix ? "always" : "never";
  if (const JsonNode scheme = node.Find("prepend_scheme"); !scheme.is_null()) {
    HONE_ASSIGN_OR_RETURN(name, scheme.String());
    if (name != "always" && name != "first" && name != "never")
      return scheme.Error(absl::StrCat("\"", name, "\", expected always, first or never"));
    if (!prefix && name != "never")
      return scheme.Error(absl::StrCat("\"", name, "\" contradicts add_prefix_space: false"));
  }
  const auto scheme = name == "always"  ? Metaspace::Scheme::kAlways
                      : name == "first" ? Metaspace::Scheme::kFirst
                                        : Metaspace::Scheme::kNever;
  return std::make_unique<Metaspace>(std::move(replacement), scheme, split);
}

}  // namespace

absl::StatusOr<std::unique_ptr<PreTokenizer>> PreTokenizer::Parse(const JsonNode& node) {
  if (node.is_null())
    return std::make_unique<SequencePreTokenizer>(std::vector<std::unique_ptr<PreTokenizer>>());
  HONE_ASSIGN_OR_RETURN(const std::string type, node.Find("type").String());
  if (type == "Sequence") {
    HONE_ASSIGN_OR_RETURN(const auto elements, node.Find("pretokenizers").Elements());
    std::vector<std::unique_ptr<PreTokenizer>> parts;
    for (const JsonNode& element : elements) {
      HONE_ASSIGN_OR_RETURN(auto part, Parse(element));
      parts.push_back(std::move(part));
    }
    return std::make_unique<SequencePreTokenizer>(std::move(parts));
  }
  if (type == "Split") {
    HONE_ASSIGN_OR_RETURN(auto pattern, Pattern::Parse(node.Find("pattern")));
    HONE_ASSIGN_OR_RETURN(const Behavior behavior, ParseBehavior(node.Find("behavior")));
    HONE_ASSIGN_OR_RETURN(const bool invert, node.Find("invert").BoolOr(false));
    return std::make_unique<Split>(std::move(pattern), behavior, invert);
  }
  if (type == "Digits") {
    HONE_ASSIGN_OR_RETURN(const bool individual, node.Find("individual_digits").BoolOr(false));
    return std::make_unique<SplitOnClass>(IsNumeric,
                                          individual ? Behavior::kIsolated : Behavior::kContiguous);
  }
  if (type == "ByteLevel") return ParseByteLevel(node);
  if (type == "Metaspace") return ParseMetaspace(node);
  if (type == "Whitespace") return std::make_unique<Whitespace>();
  if (type == "WhitespaceSplit")
    return std::make_unique<SplitOnClass>(IsWhitespace, Behavior::kRemoved);
  if (type == "Punctuation") {
    Behavior behavior = Behavior::kIsolated;
    if (const JsonNode given = node.Find("behavior"); !given.is_null()) {
      HONE_ASSIGN_OR_RETURN(behavior, ParseBehavior(given));
    }
    return std::make_unique<SplitOnClass>(IsPunctuation, behavior);
  }
  return node.Error(absl::StrCat("pre-tokenizer ", type,
                                 " is not supported, expected Sequence, Split, Digits, ByteLevel, "
                                 "Metaspace, Whitespace, WhitespaceSplit or Punctuation"));
}

}  // namespace hone
