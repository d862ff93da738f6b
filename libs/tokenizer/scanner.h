#pragma once

// The regular expressions of published tokenizers, by hand: one look at each character where the
// engine backtracks. Recognised by their exact text. Internal to libs/tokenizer.

#include <memory>

#include "absl/strings/string_view.h"
#include "libs/tokenizer/regex.h"

namespace hone {

// Null for an expression that is not known.
std::unique_ptr<Pattern> MakeScanner(absl::string_view expression);

// The expressions of GPT-2, Llama 3 (and cl100k), Qwen 2 and the last one of DeepSeek V3.
extern const char* const kGpt2Expression;
extern const char* const kLlama3Expression;
extern const char* const kQwen2Expression;
extern const char* const kDeepSeek3Expression;

}  // namespace hone
