#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/tokenizer/json.h"
#include "libs/tokenizer/token_model.h"

namespace hone {
namespace {

class WordLevel : public TokenModel {
 public:
  WordLevel(const Vocabulary& vocabulary, int32_t unk) : vocabulary_(vocabulary), unk_(unk) {}

  absl::Status Encode(absl::string_view piece, bool allow_special,
                      std::vector<int32_t>* ids) const override {
    int32_t id = vocabulary_.ModelId(piece);
    if (id < 0 || (!allow_special && vocabulary_.IsSpecial(id))) id = unk_;
    if (id < 0)
      return absl::InvalidArgumentError(absl::StrCat(
          "\"", piece, "\" is no token of this vocabulary, which has no unknown token either"));
    ids->push_back(id);
    return absl::OkStatus();
  }

 private:
  const Vocabulary& vocabulary_;
  int32_t unk_;  // -1: there is none
};

}  // namespace

absl::StatusOr<std::unique_ptr<TokenModel>> MakeWordLevel(const JsonNode& model,
                                                          const Vocabulary& vocabulary) {
  int32_t unk = -1;
  const JsonNode token = model.Find("unk_token");
  if (!token.is_null()) {
    HONE_ASSIGN_OR_RETURN(const std::string text, token.String());
    unk = vocabulary.ModelId(text);
  }
  return std::make_unique<WordLevel>(vocabulary, unk);
}

}  // namespace hone
