#include "libs/tokenizer/normalizer.h"

#include <unicode/bytestream.h>
#include <unicode/normalizer2.h>
#include <unicode/uchar.h>

#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/tokenizer/json.h"
#include "libs/tokenizer/regex.h"
#include "libs/tokenizer/unicode.h"

namespace hone {
namespace {

constexpr size_t kMaxBytes = size_t{1} << 30;

bool IsAscii(const std::string& text) {
  for (const char c : text)
    if (static_cast<unsigned char>(c) >= 0x80) return false;
  return true;
}

class SequenceNormalizer : public Normalizer {
 public:
  explicit SequenceNormalizer(std::vector<std::unique_ptr<Normalizer>> parts)
      : parts_(std::move(parts)) {}
  absl::Status Apply(std::string* text) const override {
    for (const auto& part : parts_) HONE_RETURN_IF_ERROR(part->Apply(text));
    return absl::OkStatus();
  }

 private:
  std::vector<std::unique_ptr<Normalizer>> parts_;
};

class UnicodeForm : public Normalizer {
 public:
  explicit UnicodeForm(const icu::Normalizer2* form) : form_(form) {}
  absl::Status Apply(std::string* text) const override {
    if (IsAscii(*text)) return absl::OkStatus();  // every form leaves ASCII alone
    std::string out;
    out.reserve(text->size());
    icu::StringByteSink<std::string> sink(&out);
    UErrorCode code = U_ZERO_ERROR;
    form_->normalizeUTF8(0, icu::StringPiece(text->data(), static_cast<int32_t>(text->size())),
                         sink, nullptr, code);
    if (U_FAILURE(code))
      return absl::ResourceExhaustedError(
          absl::StrCat("Unicode normalisation of ", text->size(), " bytes: ", u_errorName(code)));
    *text = std::move(out);
    return absl::OkStatus();
  }

 private:
  const icu::Normalizer2* form_;  // owned by the library
};

class Prepend : public Normalizer {
 public:
  explicit Prepend(std::string prefix) : prefix_(std::move(prefix)) {}
  absl::Status Apply(std::string* text) const override {
    if (!text->empty()) text->insert(0, prefix_);
    return absl::OkStatus();
  }

 private:
  std::string prefix_;
};

class Replace : public Normalizer {
 public:
  Replace(std::unique_ptr<Pattern> pattern, std::string content)
      : pattern_(std::move(pattern)), content_(std::move(content)) {}
  absl::Status Apply(std::string* text) const override {
    std::vector<Match> matches;
    HONE_RETURN_IF_ERROR(pattern_->FindAll(*text, &matches));
    if (matches.empty()) return absl::OkStatus();
    if (text->size() + matches.size() * content_.size() > kMaxBytes)
      return absl::ResourceExhaustedError(
          absl::StrCat("replacing ", matches.size(), " matches in ", text->size(), " bytes by ",
                       content_.size(), " bytes each exceeds ", kMaxBytes, " bytes"));
    std::string out;
    out.reserve(text->size() + matches.size() * content_.size());
    size_t done = 0;
    for (const Match& m : matches) {
      out.append(*text, done, m.begin - done);
      out.append(content_);
      done = m.end;
    }
    out.append(*text, done, std::string::npos);
    *text = std::move(out);
    return absl::OkStatus();
  }

 private:
  std::unique_ptr<Pattern> pattern_;
  std::string content_;
};

class Strip : public Normalizer {
 public:
  Strip(bool left, bool right) : left_(left), right_(right) {}
  absl::Status Apply(std::string* text) const override {
    size_t begin = 0;
    size_t end = 0;  // behind the last character that is not white space, 0 without one
    bool leading = true;
    for (size_t at = 0; at < text->size();) {
      const CodePoint c = CodePointAt(*text, at);
      at += c.length;
      if (!IsWhitespace(c.value)) {
        leading = false;
        end = at;
      } else if (leading) {
        begin = at;
      }
    }
    if (right_) text->resize(end);
    if (left_) text->erase(0, begin);
    return absl::OkStatus();
  }

 private:
  bool left_;
  bool right_;
};

class Lowercase : public Normalizer {
 public:
  absl::Status Apply(std::string* text) const override {
    std::string out;
    out.reserve(text->size());
    for (size_t at = 0; at < text->size();) {
      const CodePoint c = CodePointAt(*text, at);
      at += c.length;
      if (c.value == 0x130)  // the one letter whose lower case is two characters
        out.append("i\xCC\x87");
      else
        AppendUtf8(static_cast<char32_t>(u_tolower(static_cast<UChar32>(c.value))), &out);
    }
    *text = std::move(out);
    return absl::OkStatus();
  }
};

absl::StatusOr<std::unique_ptr<Normalizer>> MakeUnicodeForm(absl::string_view name) {
  UErrorCode code = U_ZERO_ERROR;
  const icu::Normalizer2* form = name == "NFC"    ? icu::Normalizer2::getNFCInstance(code)
                                 : name == "NFD"  ? icu::Normalizer2::getNFDInstance(code)
                                 : name == "NFKC" ? icu::Normalizer2::getNFKCInstance(code)
                                                  : icu::Normalizer2::getNFKDInstance(code);
  if (U_FAILURE(code))
    return absl::InternalError(absl::StrCat("no data for ", name, ": ", u_errorName(code)));
  return std::make_unique<UnicodeForm>(form);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Normalizer>> Normalizer::Parse(const JsonNode& node) {
  if (node.is_null())
    return std::make_unique<SequenceNormalizer>(std::vector<std::unique_ptr<Normalizer>>());
  HONE_ASSIGN_OR_RETURN(const std::string type, node.Find("type").String());
  if (type == "Sequence") {
    HONE_ASSIGN_OR_RETURN(const auto elements, node.Find("normalizers").Elements());
    std::vector<std::unique_ptr<Normalizer>> parts;
    for (const JsonNode& element : elements) {
      HONE_ASSIGN_OR_RETURN(auto part, Parse(element));
      parts.push_back(std::move(part));
    }
    return std::make_unique<SequenceNormalizer>(std::move(parts));
  }
  if (type == "NFC" || type == "NFD" || type == "NFKC" || type == "NFKD")
    return MakeUnicodeForm(type);
  if (type == "Prepend") {
    HONE_ASSIGN_OR_RETURN(std::string prefix, node.Find("prepend").String());
    return std::make_unique<Prepend>(std::move(prefix));
  }
  if (type == "Replace") {
    HONE_ASSIGN_OR_RETURN(auto pattern, Pattern::Parse(node.Find("pattern")));
    HONE_ASSIGN_OR_RETURN(std::string content, node.Find("content").String());
    return std::make_unique<Replace>(std::move(pattern), std::move(content));
  }
  if (type == "Strip") {
    HONE_ASSIGN_OR_RETURN(const bool left, node.Find("strip_left").BoolOr(true));
    HONE_ASSIGN_OR_RETURN(const bool right, node.Find("strip_right").BoolOr(true));
    return std::make_unique<Strip>(left, right);
  }
  if (type == "Lowercase") return std::make_unique<Lowercase>();
  return node.Error(absl::StrCat("normalizer ", type,
                                 " is not supported, expected Sequence, NFC, NFD, NFKC, NFKD, "
                                 "Prepend, Replace, Strip or Lowercase"));
}

}  // namespace hone
