#pragma once

// Text for continued pre-training.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/base/random.h"
#include "libs/tokenizer/tokenizer.h"
#include "libs/train/trainer.h"
#include "proto/hone/v1/config.pb.h"

namespace hone {

// Token ids of the sentinels of fill-in-the-middle.
struct FimTokens {
  double rate = 0;  // share of the documents, [0, 1]
  int32_t begin = 0, hole = 0, end = 0;
};

// INVALID_ARGUMENT: a sentinel is no token of `tokenizer`. Empty sentinels are DeepSeek-Coder's.
absl::StatusOr<FimTokens> ResolveFim(const v1::FimSpec& spec, const Tokenizer& tokenizer);

// A document as token ids, ended by `eos`. With probability fim->rate it is split at two uniformly
// drawn code points and becomes <begin> prefix <hole> suffix <end> middle (PSM, DeepSeek-Coder,
// arXiv 2401.14196): a model learns to fill in from both sides. Whatever looks like a special token
// in `text` stays text. Errors of Tokenizer::Encode.
absl::StatusOr<std::vector<int32_t>> EncodeDocument(absl::string_view text,
                                                    const Tokenizer& tokenizer, int32_t eos,
                                                    const std::optional<FimTokens>& fim,
                                                    RandomStream& random);

// Windows of at most `context` >= 2 tokens in which every token but the document's first is
// predicted once: a window begins with the last token of the one before.
std::vector<Demonstration> Windows(const std::vector<int32_t>& document, int64_t context);

}  // namespace hone
