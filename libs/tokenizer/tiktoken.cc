#include "libs/tokenizer/tiktoken.h"

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/tokenizer/scanner.h"
#include "libs/tokenizer/unicode.h"
#include "libs/tokenizer/vocabulary.h"

namespace hone {
namespace {

using nlohmann::json;

constexpr size_t kMaxTokenBytes = 1024;

// Moonlight and Kimi: letters by case, Chinese characters apart, contractions behind their word.
constexpr char kKimiExpression[] =
    R"([\p{Han}]+|)"
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*)"
    R"([\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+)"
    R"([\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
    R"(\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

absl::StatusOr<std::string> Expression(absl::string_view path, const json& config) {
  if (absl::EndsWith(path, "cl100k_base.tiktoken")) return kLlama3Expression;
  if (absl::EndsWith(path, "qwen.tiktoken")) return kQwen2Expression;
  const std::string name =
      config.contains("tokenizer_class") && config["tokenizer_class"].is_string()
          ? config["tokenizer_class"].get<std::string>()
          : "";
  if (name == "TikTokenTokenizer") return kKimiExpression;
  return absl::InvalidArgumentError(absl::StrCat(
      path, ": how it cuts text is not known: tokenizer_class \"", name,
      "\" in the tokenizer_config.json beside it, expected TikTokenTokenizer, or a file "
      "named cl100k_base.tiktoken or qwen.tiktoken"));
}

}  // namespace

bool IsTiktokenPath(absl::string_view path) {
  return absl::EndsWith(path, ".tiktoken") || absl::EndsWith(path, "tiktoken.model");
}

absl::StatusOr<json> TiktokenDocument(absl::string_view path, absl::string_view text,
                                      const json& config) {
  HONE_ASSIGN_OR_RETURN(const std::string expression, Expression(path, config));
  const auto& alphabet = ByteLevelAlphabet();
  json vocab = json::object();
  size_t single_bytes = 0;
  for (int line = 1; !text.empty(); ++line) {
    const size_t end = text.find('\n');
    const absl::string_view row = text.substr(0, end);
    text.remove_prefix(end == absl::string_view::npos ? text.size() : end + 1);
    if (row.empty()) continue;
    const size_t space = row.find(' ');
    std::string bytes;
    int32_t rank = -1;
    if (space == absl::string_view::npos || !absl::Base64Unescape(row.substr(0, space), &bytes) ||
        bytes.empty() || bytes.size() > kMaxTokenBytes ||
        !absl::SimpleAtoi(row.substr(space + 1), &rank) || rank < 0 || rank > Vocabulary::kMaxId)
      return absl::InvalidArgumentError(
          absl::StrCat(path, ":", line, ": expected base64 of 1 to ", kMaxTokenBytes,
                       " bytes, a blank and a rank of 0..", Vocabulary::kMaxId));
    single_bytes += bytes.size() == 1 ? 1 : 0;
    std::string spelled;
    for (const char c : bytes) spelled += alphabet[static_cast<unsigned char>(c)];
    if (!vocab.emplace(std::move(spelled), rank).second)
      return absl::InvalidArgumentError(
          absl::StrCat(path, ":", line, ": this token occurred before"));
  }
  if (single_bytes != 256)
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": ", single_bytes, " of the 256 single bytes are tokens"));
  json added = json::array();
  if (const auto it = config.find("added_tokens_decoder"); it != config.end() && it->is_object())
    for (const auto& [id, token] : it->items()) {
      int32_t number;
      if (!absl::SimpleAtoi(id, &number) || !token.is_object())
        return absl::InvalidArgumentError(absl::StrCat("tokenizer_config.json beside ", path,
                                                       ": added_tokens_decoder[\"", id,
                                                       "\"]: expected an "
                                                       "id and an object"));
      added.push_back(token);
      added.back()["id"] = number;
    }
  return json{
      {"added_tokens", std::move(added)},
      {"normalizer", nullptr},
      {"pre_tokenizer",
       {{"type", "Sequence"},
        {"pretokenizers",
         {{{"type", "Split"}, {"pattern", {{"Regex", expression}}}, {"behavior", "Isolated"}},
          {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}}}}}},
      {"decoder", {{"type", "ByteLevel"}}},
      {"model",
       {{"type", "BPE"},
        {"vocab", std::move(vocab)},
        {"merges", json::array()},
        {"ignore_merges", true}}}};
}

}  // namespace hone
