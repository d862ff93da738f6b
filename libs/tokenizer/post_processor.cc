#include "libs/tokenizer/post_processor.h"

#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/tokenizer/json.h"
#include "libs/tokenizer/vocabulary.h"

namespace hone {
namespace {

// The ids that `special_tokens` gives to the name of one template item.
absl::StatusOr<std::vector<int32_t>> TemplateIds(const JsonNode& item, const JsonNode& table,
                                                 const Vocabulary& vocabulary) {
  HONE_ASSIGN_OR_RETURN(const std::string name, item.Find("id").String());
  const JsonNode entry = table.Find(name);
  if (entry.is_null())
    return item.Find("id").Error(absl::StrCat("\"", name, "\" is not in special_tokens"));
  HONE_ASSIGN_OR_RETURN(const auto elements, entry.Find("ids").Elements());
  std::vector<int32_t> ids;
  for (const JsonNode& element : elements) {
    HONE_ASSIGN_OR_RETURN(const int64_t id, element.Integer(0, vocabulary.size() - 1));
    ids.push_back(static_cast<int32_t>(id));
  }
  return ids;
}

}  // namespace

absl::StatusOr<PostProcessor> PostProcessor::Parse(const JsonNode& node,
                                                   const Vocabulary& vocabulary) {
  PostProcessor p;
  if (node.is_null()) return p;
  HONE_ASSIGN_OR_RETURN(const std::string type, node.Find("type").String());
  if (type == "ByteLevel") return p;
  if (type == "Sequence") {
    HONE_ASSIGN_OR_RETURN(const auto parts, node.Find("processors").Elements());
    for (const JsonNode& element : parts) {
      HONE_ASSIGN_OR_RETURN(const PostProcessor part, Parse(element, vocabulary));
      p.before_.insert(p.before_.begin(), part.before_.begin(), part.before_.end());
      p.after_.insert(p.after_.end(), part.after_.begin(), part.after_.end());
    }
    return p;
  }
  if (type != "TemplateProcessing")
    return node.Error(absl::StrCat("post-processor ", type,
                                   " is not supported, expected TemplateProcessing, ByteLevel or "
                                   "Sequence"));
  HONE_ASSIGN_OR_RETURN(const auto items, node.Find("single").Elements());
  int sequences = 0;
  for (const JsonNode& item : items) {
    if (!item.Find("Sequence").is_null()) {
      ++sequences;
      continue;
    }
    HONE_ASSIGN_OR_RETURN(
        const std::vector<int32_t> ids,
        TemplateIds(item.Find("SpecialToken"), node.Find("special_tokens"), vocabulary));
    std::vector<int32_t>& side = sequences == 0 ? p.before_ : p.after_;
    side.insert(side.end(), ids.begin(), ids.end());
  }
  if (sequences != 1)
    return node.Find("single").Error(
        absl::StrCat("the text occurs ", sequences, " times, expected once"));
  return p;
}

void PostProcessor::Apply(std::vector<int32_t>* ids) const {
  ids->insert(ids->begin(), before_.begin(), before_.end());
  ids->insert(ids->end(), after_.begin(), after_.end());
}

}  // namespace hone
