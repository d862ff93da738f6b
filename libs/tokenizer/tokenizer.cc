#include "libs/tokenizer/tokenizer.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/check.h"
#include "libs/base/file.h"
#include "libs/base/status.h"
#include "libs/tokenizer/added_tokens.h"
#include "libs/tokenizer/decoder.h"
#include "libs/tokenizer/json.h"
#include "libs/tokenizer/normalizer.h"
#include "libs/tokenizer/post_processor.h"
#include "libs/tokenizer/pre_tokenizer.h"
#include "libs/tokenizer/token_model.h"
#include "libs/tokenizer/unicode.h"
#include "libs/tokenizer/vocabulary.h"

namespace hone {

struct Tokenizer::Parts {
  std::unique_ptr<Vocabulary> vocabulary;
  AddedTokenFinder raw_tokens;         // looked for in the text as it is
  AddedTokenFinder normalized_tokens;  // looked for in the normalised text
  std::unique_ptr<Normalizer> normalizer;
  std::unique_ptr<PreTokenizer> pre_tokenizer;
  std::unique_ptr<TokenModel> model;
  PostProcessor post_processor;
  Decoder decoder;
};

namespace {

absl::StatusOr<std::unique_ptr<TokenModel>> MakeModel(const JsonNode& model,
                                                      const Vocabulary& vocabulary) {
  // Files from before the field existed are recognised by what they hold.
  std::string type = model.Find("merges").is_null() ? "WordLevel" : "BPE";
  if (const JsonNode given = model.Find("type"); !given.is_null()) {
    HONE_ASSIGN_OR_RETURN(type, given.String());
  }
  if (type == "BPE") return MakeBpe(model, vocabulary);
  return MakeWordLevel(model, vocabulary);
}

// Refused before anything else is looked at: their vocabularies have another shape.
absl::Status CheckModelType(const JsonNode& model) {
  if (!model.value().is_object()) return model.Error("expected an object");
  const JsonNode type = model.Find("type");
  if (type.is_null()) return absl::OkStatus();
  HONE_ASSIGN_OR_RETURN(const std::string name, type.String());
  if (name == "BPE" || name == "WordLevel") return absl::OkStatus();
  return type.Error(absl::StrCat("\"", name, "\" is not supported, expected BPE or WordLevel"));
}

}  // namespace

Tokenizer::Tokenizer(std::unique_ptr<const Parts> parts) : parts_(std::move(parts)) {}
Tokenizer::~Tokenizer() = default;

absl::StatusOr<std::unique_ptr<Tokenizer>> Tokenizer::Load(const std::string& path) {
  HONE_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(path, kMaxDocumentBytes));
  auto tokenizer = Parse(bytes);
  if (!tokenizer.ok())
    return absl::Status(tokenizer.status().code(),
                        absl::StrCat(path, ": ", tokenizer.status().message()));
  return tokenizer;
}

absl::StatusOr<std::unique_ptr<Tokenizer>> Tokenizer::Parse(absl::string_view json) {
  HONE_ASSIGN_OR_RETURN(const nlohmann::json document, ParseJson(json));
  const JsonNode root(&document, "");
  auto parts = std::make_unique<Parts>();
  const JsonNode model = root.Find("model");
  HONE_RETURN_IF_ERROR(CheckModelType(model));
  HONE_ASSIGN_OR_RETURN(parts->vocabulary,
                        Vocabulary::Parse(model.Find("vocab"), root.Find("added_tokens")));
  HONE_ASSIGN_OR_RETURN(parts->model, MakeModel(model, *parts->vocabulary));
  HONE_ASSIGN_OR_RETURN(parts->normalizer, Normalizer::Parse(root.Find("normalizer")));
  HONE_ASSIGN_OR_RETURN(parts->pre_tokenizer, PreTokenizer::Parse(root.Find("pre_tokenizer")));
  HONE_ASSIGN_OR_RETURN(parts->post_processor,
                        PostProcessor::Parse(root.Find("post_processor"), *parts->vocabulary));
  HONE_ASSIGN_OR_RETURN(parts->decoder, Decoder::Parse(root.Find("decoder")));
  for (const AddedToken& token : parts->vocabulary->added()) {
    std::string form = token.content;
    if (token.normalized) HONE_RETURN_IF_ERROR(parts->normalizer->Apply(&form));
    (token.normalized ? parts->normalized_tokens : parts->raw_tokens).Add(token, form);
  }
  return std::unique_ptr<Tokenizer>(new Tokenizer(std::move(parts)));
}

absl::StatusOr<std::vector<int32_t>> Tokenizer::Encode(absl::string_view text,
                                                       const EncodeOptions& options) const {
  if (text.size() > kMaxTextBytes)
    return absl::InvalidArgumentError(
        absl::StrCat("text of ", text.size(), " bytes, expected at most ", kMaxTextBytes));
  if (const size_t bad = FirstInvalidUtf8(text); bad != absl::string_view::npos)
    return absl::InvalidArgumentError(absl::StrCat("text is not UTF-8: byte ", bad, " is 0x",
                                                   absl::Hex(static_cast<unsigned char>(text[bad])),
                                                   ", which no character continues or ends with"));
  const Parts& p = *parts_;
  std::vector<int32_t> ids;
  for (const Section& raw : p.raw_tokens.Split(text, options.parse_special)) {
    if (raw.id >= 0) {
      ids.push_back(raw.id);
      continue;
    }
    std::string normalized(text.substr(raw.begin, raw.end - raw.begin));
    HONE_RETURN_IF_ERROR(p.normalizer->Apply(&normalized));
    for (const Section& section : p.normalized_tokens.Split(normalized, options.parse_special)) {
      if (section.id >= 0) {
        ids.push_back(section.id);
        continue;
      }
      Pieces pieces;
      pieces.text = normalized.substr(section.begin, section.end - section.begin);
      pieces.pieces.push_back({0, pieces.text.size(), raw.begin == 0 && section.begin == 0});
      HONE_RETURN_IF_ERROR(p.pre_tokenizer->Apply(&pieces));
      for (const Piece& piece : pieces.pieces)
        HONE_RETURN_IF_ERROR(p.model->Encode(
            absl::string_view(pieces.text).substr(piece.begin, piece.end - piece.begin),
            options.parse_special, &ids));
    }
  }
  if (options.add_special_tokens) p.post_processor.Apply(&ids);
  return ids;
}

void Tokenizer::PushToken(int32_t id, const DecodeOptions& options, DecodeStream* stream) const {
  const Vocabulary& v = *parts_->vocabulary;
  const absl::string_view token = v.Token(id);
  if (token.empty() || (options.skip_special && v.IsSpecial(id))) return;
  stream->Push(token, v.IsAdded(id));
}

std::string Tokenizer::Decode(absl::Span<const int32_t> ids, const DecodeOptions& options) const {
  std::string text;
  const std::unique_ptr<DecodeStream> stream = parts_->decoder.Open(&text);
  for (const int32_t id : ids) PushToken(id, options, stream.get());
  stream->Flush();
  return text;
}

int32_t Tokenizer::vocab_size() const {
  return parts_->vocabulary->size();
}

std::optional<int32_t> Tokenizer::Id(absl::string_view token) const {
  const int32_t id = parts_->vocabulary->Id(token);
  return id < 0 ? std::nullopt : std::optional<int32_t>(id);
}

std::string Tokenizer::Token(int32_t id) const {
  return std::string(parts_->vocabulary->Token(id));
}

bool Tokenizer::IsSpecial(int32_t id) const {
  return parts_->vocabulary->IsSpecial(id);
}

IncrementalDecoder::IncrementalDecoder(const Tokenizer& tokenizer, const DecodeOptions& options)
    : tokenizer_(&tokenizer),
      options_(options),
      text_(std::make_unique<std::string>()),
      stream_(tokenizer.parts_->decoder.Open(text_.get())) {}
IncrementalDecoder::~IncrementalDecoder() = default;

std::string IncrementalDecoder::Append(int32_t id) {
  HONE_CHECK(stream_ != nullptr) << "appended to a decoder that was finished";
  tokenizer_->PushToken(id, options_, stream_.get());
  return std::exchange(*text_, std::string());
}

std::string IncrementalDecoder::Finish() {
  HONE_CHECK(stream_ != nullptr) << "finished twice";
  stream_->Flush();
  stream_.reset();
  return std::exchange(*text_, std::string());
}

}  // namespace hone
