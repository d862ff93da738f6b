// Which tokens go into the next forward pass: decoding sequences first, then prefill, oldest
// request first.

#include <algorithm>

#include "libs/engine/sequence.h"

namespace hone {

// Appends tokens [begin, end) of the prompt (sequence == nullptr) or of a completion to the batch,
// taking cache rows for them. The caller made sure of budget and room.
void Engine::AddTokens(Plan& plan, Group& group, Sequence* sequence, int64_t begin, int64_t end) {
  Batch& b = plan.batch;
  TokenRows& rows = sequence ? sequence->own : group.prompt;
  const std::vector<int32_t>& tokens = sequence ? sequence->tokens : group.request.prompt;
  const int64_t before = sequence ? group.prompt_tokens() : 0;
  rows.Append(end - begin, blocks_);
  for (int64_t i = begin; i < end; ++i) {
    b.ids.push_back(tokens[static_cast<size_t>(i)]);
    b.positions.push_back(static_cast<int32_t>(before + i));
    b.cache_rows.push_back(rows.rows()[static_cast<size_t>(i)]);
  }
  if (sequence)
    b.kv_rows.insert(b.kv_rows.end(), group.prompt.rows().begin(), group.prompt.rows().end());
  b.kv_rows.insert(b.kv_rows.end(), rows.rows().begin(), rows.rows().end());
  b.q_start.push_back(static_cast<int32_t>(b.ids.size()));
  b.kv_start.push_back(static_cast<int32_t>(b.kv_rows.size()));
  plan.budget -= end - begin;
  group.in_batch = true;
  if (sequence) sequence->in_batch = true;
}

// Frees rows until `blocks` are available, taking them from the youngest sequences first; never
// from the one that asks, nor from older ones. False when that is not enough.
bool Engine::MakeRoom(int64_t blocks, const Group* for_group, const Sequence* for_sequence) {
  for (auto g = groups_.rbegin(); blocks_.available() < blocks && g != groups_.rend(); ++g) {
    Group& group = **g;
    for (auto s = group.sequences.rbegin();
         blocks_.available() < blocks && s != group.sequences.rend(); ++s) {
      if (&*s == for_sequence) return false;
      if (s->cached() == 0 || s->in_batch) continue;
      s->own.Free(blocks_);
      ++preemptions_;
    }
    if (&group == for_group) break;
    if (blocks_.available() < blocks && !group.in_batch) group.prompt.Free(blocks_);
  }
  return blocks_.available() >= blocks;
}

void Engine::PlanDecode(Plan& plan) {
  for (const auto& g : groups_) {
    if (!g->prefilled()) continue;
    for (Sequence& s : g->sequences) {
      const auto n = static_cast<int64_t>(s.tokens.size());
      if (s.done || n == 0 || s.cached() != n - 1 || plan.budget == 0) continue;
      if (!MakeRoom(s.own.BlocksFor(1), g.get(), &s)) continue;  // waits for older ones to end
      AddTokens(plan, *g, &s, n - 1, n);
      plan.draws.push_back({static_cast<int32_t>(plan.batch.tokens() - 1), g.get(), &s});
    }
  }
}

void Engine::PlanPrefill(Plan& plan) {
  // What can be computed of [cached, total) now, bounded by budget and free blocks.
  const auto chunk = [&](const TokenRows& rows, int64_t total) {
    int64_t count = std::min(total - rows.size(), plan.budget);
    while (count > 0 && rows.BlocksFor(count) > blocks_.available())
      count -= std::min<int64_t>(count, BlockAllocator::kBlockTokens);
    return count;
  };
  for (const auto& g : groups_) {
    if (plan.budget == 0) return;
    if (!g->prefilled()) {
      const int64_t begin = g->prompt.size();
      const int64_t wanted = std::min(g->prompt_tokens() - begin, plan.budget);
      MakeRoom(g->prompt.BlocksFor(wanted), g.get(), nullptr);
      const int64_t count = chunk(g->prompt, g->prompt_tokens());
      if (count == 0) return;  // the oldest one goes first
      AddTokens(plan, *g, nullptr, begin, begin + count);
      prefilled_tokens_ += count;
      if (!g->prefilled()) continue;
      for (Sequence& s : g->sequences)
        if (!s.done && s.tokens.empty())
          plan.draws.push_back({static_cast<int32_t>(plan.batch.tokens() - 1), g.get(), &s});
      continue;
    }
    for (Sequence& s : g->sequences) {  // computed again after a preemption
      const auto n = static_cast<int64_t>(s.tokens.size());
      if (s.done || plan.budget == 0 || s.cached() >= n - 1 || n == 0) continue;
      MakeRoom(s.own.BlocksFor(std::min(n - s.cached(), plan.budget)), g.get(), &s);
      const int64_t begin = s.cached();
      const int64_t count = chunk(s.own, n);
      if (count == 0) return;
      AddTokens(plan, *g, &s, begin, begin + count);
      prefilled_tokens_ += count;
      if (s.cached() == n)
        plan.draws.push_back({static_cast<int32_t>(plan.batch.tokens() - 1), g.get(), &s});
    }
  }
}

}  // namespace hone
