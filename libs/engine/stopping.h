#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "libs/tokenizer/tokenizer.h"
#include "proto/hone/v1/trajectory.pb.h"

namespace hone {

// Decides when one completion ends, and keeps its text. Not thread-safe.
class Stopping {
 public:
  // `tokenizer` may be null when there are no stop strings; then there is no text. Both must
  // outlive this.
  Stopping(const Tokenizer* tokenizer, const v1::SamplingParams& params,
           const std::vector<int32_t>& eos_ids, int64_t max_tokens);

  // Call once per sampled token; a reason when it was the last one.
  std::optional<v1::FinishReason> Append(int32_t token);
  // The decoded completion without the stop token. Call once, at the end.
  std::string TakeText();

 private:
  const v1::SamplingParams& params_;
  const std::vector<int32_t>& eos_ids_;
  const int64_t max_tokens_;
  std::optional<IncrementalDecoder> decoder_;
  std::string text_;
  size_t longest_stop_ = 0;
  int64_t tokens_ = 0;
};

}  // namespace hone
