// tokenizer.json from any bytes: the document, an empty line, and a text for it. The ids of the
// text are of the vocabulary, and decoding them at once and one by one gives the same.

#include <cstdint>
#include <cstdlib>
#include <string>

#include "libs/tokenizer/tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t cut = input.find("\n\n");
  const auto tokenizer = hone::Tokenizer::Parse(input.substr(0, cut));
  if (!tokenizer.ok()) return 0;
  absl::string_view text = cut == absl::string_view::npos ? "aB 1<s>\n" : input.substr(cut + 2);
  text = text.substr(0, 4096);
  (void)(*tokenizer)->Encode(text, {.parse_special = true, .add_special_tokens = true});
  const auto ids = (*tokenizer)->Encode(text);
  if (!ids.ok()) return 0;
  hone::IncrementalDecoder decoder(**tokenizer);
  std::string stepwise;
  for (const int32_t id : *ids) {
    if (id < 0 || id >= (*tokenizer)->vocab_size()) std::abort();
    stepwise += decoder.Append(id);
  }
  if (stepwise + decoder.Finish() != (*tokenizer)->Decode(*ids)) std::abort();
  return 0;
}
