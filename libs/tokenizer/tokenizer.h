#pragma once

// Reads a Hugging Face tokenizer.json and turns text into token ids and back, with the same ids as
// the reference implementation. Models BPE (byte-level and SentencePiece style) and WordLevel.
//
//   HONE_ASSIGN_OR_RETURN(auto tokenizer, Tokenizer::Load("model/tokenizer.json"));
//   HONE_ASSIGN_OR_RETURN(auto ids, tokenizer->Encode("What is 1+1?"));
//   std::string text = tokenizer->Decode(ids);
//
// Known differences from the reference are listed in README.md.

#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace hone {

class DecodeStream;
enum class MergeRule : uint8_t;

// The defaults are those for text that a user wrote.
struct EncodeOptions {
  // Whether "<|im_start|>" in the text is that control token. Only for text that this system
  // rendered itself: with false no id of a special token comes out of any text.
  bool parse_special = false;
  // Whether the post-processor adds begin-of-sequence and the like. Chat templates contain them
  // already.
  bool add_special_tokens = false;
};

// Bytes [begin, end) of a text.
struct ByteRange {
  size_t begin;
  size_t end;
};

struct DecodeOptions {
  bool skip_special = false;  // drops tokens marked special; <think> often is not
};

// Immutable; const methods are thread-safe.
class Tokenizer {
 public:
  // Texts longer than this are refused.
  static constexpr size_t kMaxTextBytes = size_t{256} << 20;

  // The status of reading the file, or INVALID_ARGUMENT with the path in the document of what was
  // wrong there. A file named *.tiktoken or tiktoken.model is one of the tiktoken library, whose
  // special tokens are in the tokenizer_config.json beside it.
  static absl::StatusOr<std::unique_ptr<Tokenizer>> Load(const std::string& path);
  static absl::StatusOr<std::unique_ptr<Tokenizer>> Parse(absl::string_view json);
  ~Tokenizer();
  Tokenizer(const Tokenizer&) = delete;
  Tokenizer& operator=(const Tokenizer&) = delete;

  // INVALID_ARGUMENT for text that is not well-formed UTF-8 or too long, and for words that a
  // vocabulary without unknown token does not have; RESOURCE_EXHAUSTED when a regular expression of
  // the file backtracks beyond measure.
  absl::StatusOr<std::vector<int32_t>> Encode(absl::string_view text,
                                              const EncodeOptions& options = {}) const;

  // Encodes text that a template made around what people wrote. Special tokens are found only where
  // every byte of them is the template's: none begins, ends or lies in `foreign`, ranges in order
  // that do not overlap. Otherwise the ids are those of Encode for the text as a whole, so a word
  // may still join both. Errors as for Encode.
  absl::StatusOr<std::vector<int32_t>> EncodeRendered(absl::string_view text,
                                                      absl::Span<const ByteRange> foreign) const;

  // Always well-formed UTF-8: ill-formed bytes become U+FFFD. Ids without a token (a model may have
  // more rows than the vocabulary) give no text.
  std::string Decode(absl::Span<const int32_t> ids, const DecodeOptions& options = {}) const;

  // Highest id + 1, added tokens included.
  int32_t vocab_size() const;
  // The id of a token as the file spells it ("Ġthe", "<s>").
  std::optional<int32_t> Id(absl::string_view token) const;
  // The token as the file spells it; empty when there is none with this id.
  std::string Token(int32_t id) const;
  bool IsSpecial(int32_t id) const;

 private:
  friend class IncrementalDecoder;
  struct Parts;

  explicit Tokenizer(std::unique_ptr<const Parts> parts);
  static absl::StatusOr<std::unique_ptr<Tokenizer>> FromDocument(const nlohmann::json& document,
                                                                 MergeRule rule);
  // Appends the ids of `text`, which is valid; `at_start`: the whole input begins with it.
  absl::Status EncodeText(absl::string_view text, bool at_start, bool parse_special,
                          std::vector<int32_t>* ids) const;
  void PushToken(int32_t id, const DecodeOptions& options, DecodeStream* stream) const;

  std::unique_ptr<const Parts> parts_;
};

// Decodes one token at a time. Every part is whole characters; all parts together with Finish are
// what Decode gives for all ids at once. Not thread-safe.
class IncrementalDecoder {
 public:
  // `tokenizer` must outlive this.
  explicit IncrementalDecoder(const Tokenizer& tokenizer, const DecodeOptions& options = {});
  ~IncrementalDecoder();
  IncrementalDecoder(IncrementalDecoder&&) = default;
  IncrementalDecoder& operator=(IncrementalDecoder&&) = default;

  // The text that became certain with this token; may be empty.
  std::string Append(int32_t id);
  // What was held back. Only once, and nothing may be appended afterwards.
  std::string Finish();

 private:
  const Tokenizer* tokenizer_;
  DecodeOptions options_;
  std::unique_ptr<std::string> text_;  // where the stream writes; its address must not change
  std::unique_ptr<DecodeStream> stream_;
};

}  // namespace hone
