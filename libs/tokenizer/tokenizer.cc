#include "libs/tokenizer/tokenizer.h"

#include <filesystem>
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
#include "libs/tokenizer/tiktoken.h"
#include "libs/tokenizer/token_model.h"
#include "libs/tokenizer/unicode.h"
#include "libs/tokenizer/vocabulary.h"

namespace hone {

struct Tokenizer::Parts {
  std::unique_ptr<Vocabulary> vocabulary;
  AddedTokenFinder raw_tokens;         // looked for in the text as it is
  AddedTokenFinder normalized_tokens;  // looked for in the normalised text
  AddedTokenFinder special_tokens;     // all special ones, looked for in rendered templates
  std::unique_ptr<Normalizer> normalizer;
  std::unique_ptr<PreTokenizer> pre_tokenizer;
  std::unique_ptr<TokenModel> model;
  PostProcessor post_processor;
  Decoder decoder;
};

namespace {

absl::StatusOr<std::unique_ptr<TokenModel>> MakeModel(const JsonNode& model,
                                                      const Vocabulary& vocabulary,
                                                      PreTokenizer* pre_tokenizer, MergeRule rule) {
  // Files from before the field existed are recognised by what they hold.
  std::string type = model.Find("merges").is_null() ? "WordLevel" : "BPE";
  if (const JsonNode given = model.Find("type"); !given.is_null()) {
    HONE_ASSIGN_OR_RETURN(type, given.String());
  }
  // Byte-level merging takes the bytes as they are and spells them in the alphabet of the
  // vocabulary only where its cache does not know them.
  if (type == "BPE") return MakeBpe(model, vocabulary, pre_tokenizer->DropAlphabet(), rule);
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
  if (IsTiktokenPath(path)) {
    nlohmann::json config = nlohmann::json::object();
    const std::string beside =
        (std::filesystem::path(path).parent_path() / "tokenizer_config.json").string();
    const auto text = ReadFile(beside, kMaxDocumentBytes);
    if (text.ok()) {
      HONE_ASSIGN_OR_RETURN(config, ParseJson(*text));
    } else if (!absl::IsNotFound(text.status())) {
      return text.status();
    }
    HONE_ASSIGN_OR_RETURN(const nlohmann::json document, TiktokenDocument(path, bytes, config));
    return FromDocument(document, MergeRule::kById);
  }
  auto tokenizer = Parse(bytes);
  if (!tokenizer.ok())
    return absl::Status(tokenizer.status().code(),
                        absl::StrCat(path, ": ", tokenizer.status().message()));
  return tokenizer;
}

absl::StatusOr<std::unique_ptr<Tokenizer>> Tokenizer::Parse(absl::string_view json) {
  HONE_ASSIGN_OR_RETURN(const nlohmann::json document, ParseJson(json));
  return FromDocument(document, MergeRule::kListed);
}

absl::StatusOr<std::unique_ptr<Tokenizer>> Tokenizer::FromDocument(const nlohmann::json& document,
                                                                   MergeRule rule) {
  const JsonNode root(&document, "");
  auto parts = std::make_unique<Parts>();
  const JsonNode model = root.Find("model");
  HONE_RETURN_IF_ERROR(CheckModelType(model));
  HONE_ASSIGN_OR_RETURN(parts->vocabulary,
                        Vocabulary::Parse(model.Find("vocab"), root.Find("added_tokens")));
  HONE_ASSIGN_OR_RETURN(parts->normalizer, Normalizer::Parse(root.Find("normalizer")));
  HONE_ASSIGN_OR_RETURN(parts->pre_tokenizer, PreTokenizer::Parse(root.Find("pre_tokenizer")));
  HONE_ASSIGN_OR_RETURN(parts->model,
                        MakeModel(model, *parts->vocabulary, parts->pre_tokenizer.get(), rule));
  HONE_ASSIGN_OR_RETURN(parts->post_processor,
                        PostProcessor::Parse(root.Find("post_processor"), *parts->vocabulary));
  HONE_ASSIGN_OR_RETURN(parts->decoder, Decoder::Parse(root.Find("decoder")));
  for (const AddedToken& token : parts->vocabulary->added()) {
    std::string form = token.content;
    if (token.normalized) HONE_RETURN_IF_ERROR(parts->normalizer->Apply(&form));
    (token.normalized ? parts->normalized_tokens : parts->raw_tokens).Add(token, form);
    if (token.special) parts->special_tokens.Add(token, token.content);
  }
  return std::unique_ptr<Tokenizer>(new Tokenizer(std::move(parts)));
}

namespace {

absl::Status CheckText(absl::string_view text) {
  if (text.size() > Tokenizer::kMaxTextBytes)
    return absl::InvalidArgumentError(absl::StrCat(
        "text of ", text.size(), " bytes, expected at most ", Tokenizer::kMaxTextBytes));
  if (const size_t bad = FirstInvalidUtf8(text); bad != absl::string_view::npos)
    return absl::InvalidArgumentError(absl::StrCat("text is not UTF-8: byte ", bad, " is 0x",
                                                   absl::Hex(static_cast<unsigned char>(text[bad])),
                                                   ", which no character continues or ends with"));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<int32_t>> Tokenizer::Encode(absl::string_view text,
                                                       const EncodeOptions& options) const {
  HONE_RETURN_IF_ERROR(CheckText(text));
  std::vector<int32_t> ids;
  HONE_RETURN_IF_ERROR(EncodeText(text, true, options.parse_special, &ids));
  if (options.add_special_tokens) parts_->post_processor.Apply(&ids);
  return ids;
}

absl::StatusOr<std::vector<int32_t>> Tokenizer::EncodeRendered(
    absl::string_view text, absl::Span<const ByteRange> foreign) const {
  HONE_RETURN_IF_ERROR(CheckText(text));
  std::vector<int32_t> ids;
  for (const Section& s : parts_->special_tokens.Split(text, true, foreign)) {
    if (s.id >= 0)
      ids.push_back(s.id);
    else
      HONE_RETURN_IF_ERROR(
          EncodeText(text.substr(s.begin, s.end - s.begin), s.begin == 0, false, &ids));
  }
  return ids;
}

absl::Status Tokenizer::EncodeText(absl::string_view text, bool at_start, bool parse_special,
                                   std::vector<int32_t>* ids) const {
  const Parts& p = *parts_;
  for (const Section& raw : p.raw_tokens.Split(text, parse_special)) {
    if (raw.id >= 0) {
      ids->push_back(raw.id);
      continue;
    }
    std::string normalized(text.substr(raw.begin, raw.end - raw.begin));
    HONE_RETURN_IF_ERROR(p.normalizer->Apply(&normalized));
    for (const Section& section : p.normalized_tokens.Split(normalized, parse_special)) {
      if (section.id >= 0) {
        ids->push_back(section.id);
        continue;
      }
      Pieces pieces;
      pieces.text = section.begin == 0 && section.end == normalized.size()
                        ? std::move(normalized)
                        : normalized.substr(section.begin, section.end - section.begin);
      pieces.pieces.push_back(
          {0, pieces.text.size(), at_start && raw.begin == 0 && section.begin == 0});
      HONE_RETURN_IF_ERROR(p.pre_tokenizer->Apply(&pieces));
      for (const Piece& piece : pieces.pieces)
        HONE_RETURN_IF_ERROR(p.model->Encode(
            absl::string_view(pieces.text).substr(piece.begin, piece.end - piece.begin),
            parse_special, ids));
    }
  }
  return absl::OkStatus();
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
