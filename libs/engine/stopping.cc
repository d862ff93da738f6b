#include "libs/engine/stopping.h"

#include <algorithm>

namespace hone {

Stopping::Stopping(const Tokenizer* tokenizer, const v1::SamplingParams& params,
                   const std::vector<int32_t>& eos_ids, int64_t max_tokens)
    : params_(params), eos_ids_(eos_ids), max_tokens_(max_tokens) {
  if (tokenizer != nullptr) decoder_.emplace(*tokenizer);
  for (const std::string& stop : params.stop())
    longest_stop_ = std::max(longest_stop_, stop.size());
}

std::optional<v1::FinishReason> Stopping::Append(int32_t token) {
  ++tokens_;
  const auto& stops = params_.stop_token_ids();
  if (std::find(eos_ids_.begin(), eos_ids_.end(), token) != eos_ids_.end() ||
      std::find(stops.begin(), stops.end(), token) != stops.end())
    return v1::FINISH_REASON_STOP_TOKEN;
  if (decoder_) {
    // Only text that this token completed can contain a new match.
    const size_t from = text_.size() - std::min(text_.size(), longest_stop_);
    text_ += decoder_->Append(token);
    for (const std::string& stop : params_.stop())
      if (!stop.empty() && text_.find(stop, from) != std::string::npos)
        return v1::FINISH_REASON_STOP_STRING;
  }
  if (tokens_ >= max_tokens_) return v1::FINISH_REASON_LENGTH;
  return std::nullopt;
}

std::string Stopping::TakeText() {
  if (decoder_) text_ += decoder_->Finish();
  return std::move(text_);
}

}  // namespace hone
