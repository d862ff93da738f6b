#include "libs/train/packing.h"

#include "libs/base/check.h"

namespace hone {
namespace {

// Adds rows for `tokens` at positions from `position` on, as one sequence whose keys are `keys` and
// then its own rows.
void AddRows(Batch& b, std::span<const int32_t> tokens, int64_t position,
             std::span<const int32_t> keys) {
  b.kv_rows.insert(b.kv_rows.end(), keys.begin(), keys.end());
  for (int32_t id : tokens) {
    b.kv_rows.push_back(static_cast<int32_t>(b.ids.size()));
    b.ids.push_back(id);
    b.positions.push_back(static_cast<int32_t>(position++));
  }
  b.q_start.push_back(static_cast<int32_t>(b.ids.size()));
  b.kv_start.push_back(static_cast<int32_t>(b.kv_rows.size()));
}

}  // namespace

std::vector<MicroBatch> Pack(std::span<const TrainSequence> sequences, int64_t max_tokens) {
  std::vector<MicroBatch> out;
  std::vector<int32_t> prompt_rows;
  for (size_t i = 0; i < sequences.size(); ++i) {
    const TrainSequence& s = sequences[i];
    HONE_CHECK(!s.prompt.empty() && !s.completion.empty());
    // The last token predicts nothing, so it is no input.
    const auto prompt = static_cast<int64_t>(s.prompt.size());
    const auto inputs = static_cast<int64_t>(s.completion.size()) - 1;
    bool shares = !out.empty() && !out.back().items.empty() && sequences[i - 1].group == s.group;
    if (out.empty() || out.back().batch.tokens() + inputs + (shares ? 0 : prompt) > max_tokens) {
      if (out.empty() || out.back().batch.tokens() > 0) out.emplace_back();
      shares = false;
    }
    MicroBatch& m = out.back();
    Batch& b = m.batch;
    if (b.q_start.empty()) b.q_start = b.kv_start = b.cluster_start = {0};
    if (!shares) {
      const int64_t first = b.tokens();
      AddRows(b, s.prompt, 0, {});
      prompt_rows.assign(b.kv_rows.end() - prompt, b.kv_rows.end());
      HONE_CHECK(prompt_rows.front() == first);
      b.cluster_start.push_back(0);
    }
    m.items.push_back({static_cast<int64_t>(i), static_cast<int64_t>(m.targets.size())});
    const int64_t first = b.tokens();
    if (inputs > 0)
      AddRows(b, s.completion.first(static_cast<size_t>(inputs)), prompt, prompt_rows);
    b.cluster_start.back() = static_cast<int32_t>(b.sequences());
    m.scored_rows.push_back(prompt_rows.back());
    for (int64_t j = 0; j < inputs; ++j) m.scored_rows.push_back(static_cast<int32_t>(first + j));
    m.targets.insert(m.targets.end(), s.completion.begin(), s.completion.end());
    m.inv_temperature.insert(m.inv_temperature.end(), s.completion.size(), s.inv_temperature);
  }
  return out;
}

}  // namespace hone
