#pragma once

#include <string>

#include "absl/status/status.h"

namespace hone {

// Writes the model folder of the countdown demo, without weights: config.json
// (DeepseekV3ForCausalLM: MLA, one dense layer and two of 8 routed experts; about 216,000
// parameters) and tokenizer.json (WordLevel; the nine tags, the integers 0 to 99, the signs and the
// words of the prompts; white space is dropped, anything else is an error when it is
// encoded). Files appear whole or not at all; errors name the file that failed.
absl::Status WriteDemoModel(const std::string& folder);

}  // namespace hone
