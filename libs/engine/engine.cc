#include "libs/engine/engine.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "libs/base/random.h"
#include "libs/base/status.h"
#include "libs/engine/sequence.h"
#include "libs/model/memory.h"
#include "libs/ops/head.h"

namespace hone {

Engine::Engine(const Transformer& transformer, const Tokenizer* tokenizer, const Options& options,
               Sink sink)
    : transformer_(transformer),
      tokenizer_(tokenizer),
      options_(options),
      vocab_(options.vocab > 0 ? options.vocab : transformer.config().vocab),
      sink_(std::move(sink)),
      // A learner in the same process has larger kernels, and can wait.
      device_(transformer.table(), options.threads, true),
      arena_(transformer.table()),
      blocks_((options.cache_tokens + BlockAllocator::kBlockTokens - 1) /
              BlockAllocator::kBlockTokens),
      // One block more for the sequences that fill up a pass (FillUp).
      cache_(transformer.config(),
             (blocks_.total() + (device_.records() ? 1 : 0)) * BlockAllocator::kBlockTokens,
             options.dtype, transformer.table()) {
  HONE_CHECK(vocab_ <= transformer.config().vocab) << vocab_;
  // At once and in one block: recordings hold on to places.
  arena_.Reserve(static_cast<int64_t>(
      MemoryOfRollout(transformer.config(), {.dtype = options.dtype,
                                             .batch_tokens = options.max_batch_tokens,
                                             .sequences = options.max_sequences})
          .activations));
}

Engine::~Engine() = default;

double Engine::cache_used_ratio() const {
  return 1 - static_cast<double>(blocks_.available()) / static_cast<double>(blocks_.total());
}

int64_t Engine::running() const {
  int64_t n = 0;
  for (const auto& g : groups_)
    for (const Sequence& s : g->sequences) n += !s.done;
  return n;
}

void Engine::SetWeights(std::shared_ptr<const Weights> weights, int64_t version,
                        InFlight in_flight) {
  HONE_CHECK(weights->parameters.dtype() == options_.dtype);
  HONE_CHECK(&weights->table() == &device_.table()) << weights->table().name;
  version_ = version;
  if (weights != weights_) {  // of the same object nothing has moved
    device_.Synchronize();
    passes_.clear();
    weights_ = std::move(weights);
  }
  if (in_flight == InFlight::kKeep) return;
  for (const auto& g : groups_) {
    g->prompt.Free(blocks_);
    for (Sequence& s : g->sequences) {
      s.own.Free(blocks_);
      if (in_flight == InFlight::kAbort && !s.done) Finish(*g, s, v1::FINISH_REASON_ABORT);
    }
  }
  Sweep();
}

absl::Status Engine::Check(const GroupRequest& r) const {
  const v1::SamplingParams& p = r.sampling;
  if (r.prompt.empty()) return absl::InvalidArgumentError("prompt has no tokens");
  for (int32_t id : r.prompt)
    if (id < 0 || id >= transformer_.config().vocab)
      return absl::InvalidArgumentError(
          absl::StrCat("prompt token ", id, " is outside [0, ", transformer_.config().vocab, ")"));
  const auto prompt = static_cast<int64_t>(r.prompt.size());
  if (prompt >= transformer_.max_context())
    return absl::InvalidArgumentError(absl::StrCat("prompt of ", prompt,
                                                   " tokens leaves no room in a context of ",
                                                   transformer_.max_context()));
  if (r.group_size < 1)
    return absl::InvalidArgumentError(absl::StrCat("group size ", r.group_size, " is below 1"));
  if (p.max_new_tokens() < 1)
    return absl::InvalidArgumentError(
        absl::StrCat("max_new_tokens ", p.max_new_tokens(), " is below 1"));
  if (!(p.temperature() >= 0))
    return absl::InvalidArgumentError(absl::StrCat("temperature ", p.temperature(), " is below 0"));
  if (!(p.top_p() >= 0 && p.top_p() <= 1))
    return absl::InvalidArgumentError(absl::StrCat("top_p ", p.top_p(), " is outside [0, 1]"));
  if (p.top_k() < 0)
    return absl::InvalidArgumentError(absl::StrCat("top_k ", p.top_k(), " is below 0"));
  if (p.stop_size() > 0 && tokenizer_ == nullptr)
    return absl::InvalidArgumentError("stop strings need a tokenizer");
  // Two sets of blocks: the prompt's and the completion's own.
  const auto blocks_for = [](int64_t n) {
    return (n + BlockAllocator::kBlockTokens - 1) / BlockAllocator::kBlockTokens;
  };
  const int64_t longest =
      std::min<int64_t>(p.max_new_tokens(), transformer_.max_context() - prompt);
  if (blocks_for(prompt) + blocks_for(longest) > blocks_.total())
    return absl::ResourceExhaustedError(absl::StrCat(
        "a prompt of ", prompt, " and ", longest, " new tokens need ",
        blocks_for(prompt) + blocks_for(longest), " cache blocks; there are ", blocks_.total()));
  return absl::OkStatus();
}

absl::Status Engine::Submit(GroupRequest request) {
  HONE_RETURN_IF_ERROR(Check(request));
  waiting_.push_back(std::move(request));
  return absl::OkStatus();
}

void Engine::Abort(uint64_t id) {
  std::erase_if(waiting_, [id](const GroupRequest& r) { return r.id == id; });
  for (const auto& g : groups_)
    if (g->request.id == id)
      for (Sequence& s : g->sequences)
        if (!s.done) Finish(*g, s, v1::FINISH_REASON_ABORT);
  Sweep();
}

void Engine::Admit() {
  int64_t active = running();
  while (!waiting_.empty() &&
         (active == 0 || active + waiting_.front().group_size <= options_.max_sequences)) {
    auto group = std::make_unique<Group>();
    group->request = std::move(waiting_.front());
    waiting_.pop_front();
    group->start = std::chrono::steady_clock::now();
    const GroupRequest& r = group->request;
    const int64_t room = transformer_.max_context() - group->prompt_tokens();
    const PhiloxKey key = DeriveKey(KeyFromSeed(r.seed), static_cast<uint64_t>(r.issue));
    for (int i = 0; i < r.group_size; ++i) {
      Sequence& s = group->sequences.emplace_back();
      s.index = i;
      const PhiloxKey own = DeriveKey(key, static_cast<uint64_t>(i), 1);
      s.noise_key = uint64_t{own[1]} << 32 | own[0];
      s.stopping = std::make_unique<Stopping>(tokenizer_, r.sampling, transformer_.config().eos_ids,
                                              std::min<int64_t>(r.sampling.max_new_tokens(), room));
    }
    active += r.group_size;
    groups_.push_back(std::move(group));
  }
}

void Engine::Finish(Group& group, Sequence& s, v1::FinishReason reason) {
  s.done = true;
  s.own.Free(blocks_);
  v1::Completion& c = s.completion;
  c.set_sample_index(s.index);
  c.set_finish_reason(reason);
  c.set_text(s.stopping->TakeText());
  if (!s.tokens.empty()) c.set_mean_entropy(s.entropy_sum / static_cast<double>(s.tokens.size()));
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - group.start;
  c.set_generate_seconds(seconds.count());
  sink_(group.request, std::move(c));
}

// Forgets groups whose sequences are all done.
void Engine::Sweep() {
  std::erase_if(groups_, [this](const std::unique_ptr<Group>& g) {
    if (!std::all_of(g->sequences.begin(), g->sequences.end(),
                     [](const Sequence& s) { return s.done; }))
      return false;
    g->prompt.Free(blocks_);
    return true;
  });
}

absl::StatusOr<std::vector<float>> Engine::Score(const std::vector<int32_t>& tokens,
                                                 float temperature) {
  GroupRequest request{.prompt = tokens};
  request.sampling.set_max_new_tokens(1);
  request.sampling.set_temperature(temperature);
  HONE_RETURN_IF_ERROR(Check(request));
  if (weights_ == nullptr) return absl::FailedPreconditionError("no weights yet");
  const auto n = static_cast<int64_t>(tokens.size());
  Group group;
  group.request = std::move(request);
  if (group.prompt.BlocksFor(n) > blocks_.available())
    return absl::ResourceExhaustedError(absl::StrCat("scoring ", n, " tokens needs ",
                                                     group.prompt.BlocksFor(n), " cache blocks; ",
                                                     blocks_.available(), " are free"));
  const Matrix head = weights_->parameters.View(transformer_.layout().head());
  std::vector<float> logp(static_cast<size_t>(n - 1));
  for (int64_t begin = 0; begin < n - 1; begin += options_.max_batch_tokens) {
    const int64_t end = std::min(n - 1, begin + options_.max_batch_tokens);
    Plan plan;
    plan.batch.q_start = {0};
    plan.batch.kv_start = {0};
    plan.budget = end - begin;
    AddTokens(plan, group, nullptr, begin, end);
    arena_.Reset();
    const Matrix hidden = transformer_.Infer(device_, arena_, *weights_, plan.batch,
                                             plan.batch.Upload(device_, arena_), cache_);
    const std::vector<int32_t> next(tokens.begin() + begin + 1, tokens.begin() + end + 1);
    const std::vector<float> inverse(next.size(), InverseTemperatureOf(group.request.sampling));
    const auto [targets, inv_temperature] = device_.Upload(arena_, next, inverse);
    float* const scores = arena_.NewArray<float>(end - begin);
    ops::HeadLogprob(device_, arena_,
                     {.hidden = hidden,
                      .targets = targets,
                      .inv_temperature = inv_temperature,
                      .logp = scores,
                      .lse = arena_.NewArray<float>(end - begin),
                      .entropy = arena_.NewArray<float>(end - begin)},
                     head, vocab_, /*max_rows=*/options_.max_sequences);
    device_.Read(logp.data() + begin, scores, end - begin);
  }
  group.prompt.Free(blocks_);
  return logp;
}

}  // namespace hone
