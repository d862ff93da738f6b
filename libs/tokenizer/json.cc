#include "libs/tokenizer/json.h"

#include <exception>

#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/tokenizer/unicode.h"

namespace hone {
namespace {

constexpr int kMaxDepth = 64;

// Checked before the parser sees the text, because a DOM multiplies what a hostile file costs.
absl::Status CheckNesting(absl::string_view text) {
  int depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\')
        ++i;
      else if (c == '"')
        in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      if (++depth > kMaxDepth)
        return absl::InvalidArgumentError(
            absl::StrCat("tokenizer.json: nested deeper than ", kMaxDepth, " levels at byte ", i));
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<nlohmann::json> ParseJson(absl::string_view text) {
  if (text.size() > kMaxDocumentBytes)
    return absl::InvalidArgumentError(absl::StrCat("tokenizer.json: ", text.size(),
                                                   " bytes, expected at most ", kMaxDocumentBytes));
  HONE_RETURN_IF_ERROR(CheckNesting(text));
  try {
    return nlohmann::json::parse(text.begin(), text.end());
  } catch (const std::exception& e) {
    return absl::InvalidArgumentError(absl::StrCat("tokenizer.json: ", e.what()));
  }
}

JsonNode JsonNode::Find(absl::string_view key) const {
  static const nlohmann::json null;
  std::string path = absl::StrCat(path_, path_.empty() ? "" : ".", key);
  if (!value_->is_object()) return JsonNode(&null, std::move(path));
  const auto it = value_->find(std::string(key));
  return JsonNode(it == value_->end() ? &null : &*it, std::move(path));
}

absl::StatusOr<std::string> JsonNode::String() const {
  if (!value_->is_string()) return WrongType("a string");
  return value_->get_ref<const std::string&>();
}

absl::StatusOr<std::string> JsonNode::Character() const {
  HONE_ASSIGN_OR_RETURN(std::string text, String());
  if (text.empty() || CodePointAt(text, 0).length != static_cast<int>(text.size()))
    return Error(absl::StrCat("\"", text, "\", expected one character"));
  return text;
}

absl::StatusOr<bool> JsonNode::BoolOr(bool fallback) const {
  if (is_null()) return fallback;
  if (!value_->is_boolean()) return WrongType("true or false");
  return value_->get<bool>();
}

absl::StatusOr<int64_t> JsonNode::Integer(int64_t least, int64_t most) const {
  if (!value_->is_number_integer()) return WrongType("an integer");
  // A number above 2^63 is stored as unsigned and would wrap.
  const bool huge = value_->is_number_unsigned() && value_->get<uint64_t>() > uint64_t{INT64_MAX};
  const int64_t n = huge ? INT64_MAX : value_->get<int64_t>();
  if (huge || n < least || n > most)
    return Error(absl::StrCat(value_->dump(), ", expected ", least, "..", most));
  return n;
}

absl::StatusOr<std::vector<JsonNode>> JsonNode::Elements() const {
  if (!value_->is_array()) return WrongType("a list");
  std::vector<JsonNode> all;
  all.reserve(value_->size());
  for (size_t i = 0; i < value_->size(); ++i)
    all.emplace_back(&(*value_)[i], absl::StrCat(path_, "[", i, "]"));
  return all;
}

absl::Status JsonNode::Error(absl::string_view what) const {
  return absl::InvalidArgumentError(absl::StrCat("tokenizer.json: ", path_, ": ", what));
}

absl::Status JsonNode::WrongType(absl::string_view expected) const {
  return Error(absl::StrCat(is_null() ? "absent" : value_->type_name(), ", expected ", expected));
}

}  // namespace hone
