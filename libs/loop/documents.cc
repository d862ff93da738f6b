#include "libs/loop/documents.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "libs/base/status.h"

namespace hone {

absl::StatusOr<FimTokens> ResolveFim(const v1::FimSpec& spec, const Tokenizer& tokenizer) {
  FimTokens fim;
  fim.rate = spec.rate() > 0 ? spec.rate() : 0.5;
  const auto resolve = [&](const char* field, const std::string& given, const char* fallback,
                           int32_t* id) {
    const std::string token = given.empty() ? fallback : given;
    const std::optional<int32_t> found = tokenizer.Id(token);
    if (!found.has_value())
      return absl::InvalidArgumentError(
          absl::StrCat("fim.", field, ": \"", token, "\" is no token of this model's tokenizer"));
    *id = *found;
    return absl::OkStatus();
  };
  HONE_RETURN_IF_ERROR(resolve("begin", spec.begin(), "<｜fim▁begin｜>", &fim.begin));
  HONE_RETURN_IF_ERROR(resolve("hole", spec.hole(), "<｜fim▁hole｜>", &fim.hole));
  HONE_RETURN_IF_ERROR(resolve("end", spec.end(), "<｜fim▁end｜>", &fim.end));
  return fim;
}

absl::StatusOr<std::vector<int32_t>> EncodeDocument(absl::string_view text,
                                                    const Tokenizer& tokenizer, int32_t eos,
                                                    const std::optional<FimTokens>& fim,
                                                    RandomStream& random) {
  std::vector<int32_t> ids;
  const auto append = [&](absl::string_view part) {
    const auto piece = tokenizer.Encode(part);
    if (piece.ok()) ids.insert(ids.end(), piece->begin(), piece->end());
    return piece.status();
  };
  const bool split = fim.has_value() && random.Bernoulli(fim->rate);
  if (!split) {
    HONE_RETURN_IF_ERROR(append(text));
  } else {
    std::vector<size_t> starts;  // of code points, and the end
    for (size_t i = 0; i < text.size(); ++i)
      if ((static_cast<unsigned char>(text[i]) & 0xc0) != 0x80) starts.push_back(i);
    starts.push_back(text.size());
    size_t a = starts[random.Below(starts.size())];
    size_t b = starts[random.Below(starts.size())];
    if (a > b) std::swap(a, b);
    ids.push_back(fim->begin);
    HONE_RETURN_IF_ERROR(append(text.substr(0, a)));
    ids.push_back(fim->hole);
    HONE_RETURN_IF_ERROR(append(text.substr(b)));
    ids.push_back(fim->end);
    HONE_RETURN_IF_ERROR(append(text.substr(a, b - a)));
  }
  ids.push_back(eos);
  return ids;
}

std::vector<Demonstration> Windows(const std::vector<int32_t>& document, int64_t context) {
  std::vector<Demonstration> windows;
  const auto size = static_cast<int64_t>(document.size());
  for (int64_t begin = 0; begin + 1 < size; begin += context - 1) {
    const int64_t end = std::min(size, begin + context);
    windows.push_back({.prompt = {document[static_cast<size_t>(begin)]},
                       .response = {document.begin() + begin + 1, document.begin() + end}});
  }
  return windows;
}

}  // namespace hone
