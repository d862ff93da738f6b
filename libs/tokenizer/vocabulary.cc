#include "libs/tokenizer/vocabulary.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/tokenizer/json.h"

namespace hone {
namespace {

// Bounds what finding one token may cost per byte of text.
constexpr size_t kMaxAddedBytes = 1024;

absl::StatusOr<AddedToken> ParseAdded(const JsonNode& node) {
  AddedToken t;
  HONE_ASSIGN_OR_RETURN(const int64_t id, node.Find("id").Integer(0, Vocabulary::kMaxId));
  t.id = static_cast<int32_t>(id);
  HONE_ASSIGN_OR_RETURN(t.content, node.Find("content").String());
  if (t.content.size() > kMaxAddedBytes)
    return node.Find("content").Error(
        absl::StrCat(t.content.size(), " bytes, expected at most ", kMaxAddedBytes));
  HONE_ASSIGN_OR_RETURN(t.special, node.Find("special").BoolOr(false));
  HONE_ASSIGN_OR_RETURN(t.normalized, node.Find("normalized").BoolOr(!t.special));
  HONE_ASSIGN_OR_RETURN(t.single_word, node.Find("single_word").BoolOr(false));
  HONE_ASSIGN_OR_RETURN(t.lstrip, node.Find("lstrip").BoolOr(false));
  HONE_ASSIGN_OR_RETURN(t.rstrip, node.Find("rstrip").BoolOr(false));
  return t;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Vocabulary>> Vocabulary::Parse(const JsonNode& vocab,
                                                              const JsonNode& added) {
  if (!vocab.value().is_object() || vocab.value().empty())
    return vocab.Error("expected an object of token -> id that is not empty");
  auto v = std::unique_ptr<Vocabulary>(new Vocabulary);

  // Ids first: tokens_ must have its final size before anything keeps views into it.
  int64_t top = 0;
  for (const auto& item : vocab.value().items()) {
    HONE_ASSIGN_OR_RETURN(
        const int64_t id,
        JsonNode(&item.value(), absl::StrCat(vocab.path(), "[\"", item.key(), "\"]"))
            .Integer(0, kMaxId));
    top = std::max(top, id);
  }
  if (!added.is_null()) {
    HONE_ASSIGN_OR_RETURN(const std::vector<JsonNode> nodes, added.Elements());
    for (const JsonNode& node : nodes) {
      HONE_ASSIGN_OR_RETURN(AddedToken t, ParseAdded(node));
      top = std::max<int64_t>(top, t.id);
      if (t.content.empty()) return node.Error("empty content");
      v->added_.push_back(std::move(t));
    }
  }
  v->tokens_.resize(top + 1);
  v->flags_.resize(top + 1);

  std::vector<bool> taken(top + 1);
  v->model_ids_.reserve(vocab.value().size());
  for (const auto& item : vocab.value().items()) {
    const auto id = item.value().get<int32_t>();
    if (taken[id])
      return vocab.Error(absl::StrCat("id ", id, " belongs to both \"", v->tokens_[id], "\" and \"",
                                      item.key(), "\""));
    taken[id] = true;
    v->tokens_[id] = item.key();
    v->model_ids_.emplace(v->tokens_[id], id);
  }
  for (size_t i = 0; i < v->added_.size(); ++i) {
    const AddedToken& t = v->added_[i];
    const auto where = [&] { return absl::StrCat(added.path(), "[", i, "]"); };
    const int32_t known = v->Id(t.content);
    if (known >= 0 && known != t.id)
      return absl::InvalidArgumentError(absl::StrCat("tokenizer.json: ", where(), ": \"", t.content,
                                                     "\" has id ", t.id, " here and ", known,
                                                     " elsewhere"));
    if (taken[t.id] && v->tokens_[t.id] != t.content)
      return absl::InvalidArgumentError(absl::StrCat("tokenizer.json: ", where(), ": id ", t.id,
                                                     " belongs to both \"", v->tokens_[t.id],
                                                     "\" and \"", t.content, "\""));
    if (!taken[t.id]) {
      taken[t.id] = true;
      v->tokens_[t.id] = t.content;
    }
    v->added_ids_.emplace(v->tokens_[t.id], t.id);
    v->flags_[t.id] |= static_cast<uint8_t>(kAdded | (t.special ? kSpecial : 0));
  }
  return v;
}

int32_t Vocabulary::ModelId(absl::string_view token) const {
  const auto it = model_ids_.find(token);
  return it == model_ids_.end() ? -1 : it->second;
}

int32_t Vocabulary::Id(absl::string_view token) const {
  const auto it = added_ids_.find(token);
  return it == added_ids_.end() ? ModelId(token) : it->second;
}

absl::string_view Vocabulary::Token(int32_t id) const {
  return Has(id) ? absl::string_view(tokens_[id]) : absl::string_view();
}

}  // namespace hone
