// One step: plan, forward pass, sampling. On a backend that records (Device::Record), decoding
// steps are done again from a recording: hundreds of calls that take the host longer than the
// device.

#include <algorithm>
#include <bit>
#include <tuple>
#include <vector>

#include "libs/engine/sequence.h"
#include "libs/ops/embedding.h"
#include "libs/ops/head.h"
#include "libs/ops/linear.h"

namespace hone {
namespace {

constexpr size_t kMostPasses = 512;  // a recording takes some hundred kB; then all are forgotten

// To three significant bits: at most a fifth of the result is padding, and few sizes are different.
int64_t RoundUpCoarsely(int64_t n) {
  const int64_t unit = std::max<int64_t>(
      1, static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(std::max<int64_t>(1, n)))) / 4);
  return (n + unit - 1) / unit * unit;
}

}  // namespace

// What is sampled: which rows of the batch, and the arguments without logits.
struct Engine::Draws {
  explicit Draws(size_t n)
      : rows(n), top_k(n), inv_temperature(n, 1), top_p(n, 1), greedy(n, 1), seed(n), position(n) {}

  std::vector<int32_t> rows, top_k;
  std::vector<float> inv_temperature, top_p;
  std::vector<uint8_t> greedy;
  std::vector<uint64_t> seed, position;
  // Where kernels read these (their own data where the device reads host memory; moving keeps it).
  const int32_t* rows_on_device = nullptr;
  kernels::SampleArgs args{};
  // [4, n]: logp, entropy, kept_mass, token; so that one download has all.
  float* results = nullptr;
};

bool Engine::Step() {
  Admit();
  if (groups_.empty()) return false;
  HONE_CHECK(weights_ != nullptr);
  for (const auto& g : groups_) {
    g->in_batch = false;
    for (Sequence& s : g->sequences) s.in_batch = false;
  }
  Plan plan;
  plan.budget = options_.max_batch_tokens;
  plan.batch.q_start = {0};
  plan.batch.kv_start = {0};
  PlanDecode(plan);
  PlanPrefill(plan);
  Batch& batch = plan.batch;
  HONE_CHECK(batch.tokens() > 0) << "nothing fits into the cache";
  auto count = static_cast<int64_t>(plan.draws.size());
  const bool decodes = batch.tokens() == batch.sequences() && batch.tokens() == count;
  const bool repeats = device_.records() && decodes && FillUp(batch);
  if (repeats) count = batch.tokens();

  arena_.Reset();
  const Batch::OnDevice arrays = batch.Upload(device_, arena_);
  const Draws draws = UploadDraws(plan, count);
  if (!repeats) {
    Pass(batch, arrays, draws);
  } else {
    const Shape shape{batch.tokens(), static_cast<int64_t>(batch.kv_rows.size()), batch.MaxKvLen(),
                      draws.results};
    if (passes_.size() >= kMostPasses) passes_.clear();
    const auto [pass, first] = passes_.try_emplace(shape);
    if (first) {
      Pass(batch, arrays, draws);
    } else {
      std::optional<Recording>& recorded = pass->second;
      if (!recorded.has_value())
        recorded.emplace(device_.Record([&] { Pass(batch, arrays, draws); }));
      device_.Replay(*recorded);
      ++replayed_steps_;
    }
  }
  if (!plan.draws.empty()) {
    std::vector<float> got(static_cast<size_t>(4 * count));
    device_.Read(got.data(), draws.results, 4 * count);
    const auto n = static_cast<size_t>(count);
    for (size_t i = 0; i < plan.draws.size(); ++i) {
      const Plan::Draw& d = plan.draws[i];
      Take(*d.group, *d.sequence, std::bit_cast<int32_t>(got[3 * n + i]), got[i], got[n + i],
           got[2 * n + i]);
    }
  }
  Sweep();
  return true;
}

// Appends sequences of one token, whose results nobody looks at and which change no others', until
// the batch has one of few shapes. False where that would be too large.
bool Engine::FillUp(Batch& batch) const {
  const int64_t tokens = RoundUpCoarsely(batch.tokens());
  if (tokens > options_.max_batch_tokens) return false;
  const auto row = static_cast<int32_t>(blocks_.total() * BlockAllocator::kBlockTokens);
  while (batch.tokens() < tokens) {
    batch.ids.push_back(0);
    batch.positions.push_back(0);
    batch.cache_rows.push_back(row);
    batch.kv_rows.push_back(row);
    batch.q_start.push_back(static_cast<int32_t>(batch.ids.size()));
    batch.kv_start.push_back(static_cast<int32_t>(batch.kv_rows.size()));
  }
  // Behind the last sequence's, so that nobody reads them.
  batch.kv_rows.resize(
      static_cast<size_t>(RoundUpCoarsely(static_cast<int64_t>(batch.kv_rows.size()))));
  return true;
}

Engine::Draws Engine::UploadDraws(const Plan& plan, int64_t n) {
  Draws draws(static_cast<size_t>(n));
  if (n == 0) return draws;
  for (size_t i = 0; i < plan.draws.size(); ++i) {
    const Plan::Draw& d = plan.draws[i];
    const v1::SamplingParams& p = d.group->request.sampling;
    draws.rows[i] = d.row;
    draws.inv_temperature[i] = InverseTemperatureOf(p);
    draws.top_p[i] = p.top_p() > 0 ? p.top_p() : 1;
    draws.top_k[i] = p.top_k();
    draws.greedy[i] = p.greedy();
    draws.seed[i] = d.sequence->noise_key;
    draws.position[i] = d.sequence->tokens.size();
  }
  kernels::SampleArgs& args = draws.args;
  std::tie(draws.rows_on_device, args.inv_temperature, args.top_p, args.top_k, args.greedy,
           args.seed, args.position) =
      device_.Upload(arena_, draws.rows, draws.inv_temperature, draws.top_p, draws.top_k,
                     draws.greedy, draws.seed, draws.position);
  draws.results = arena_.NewArray<float>(4 * n);
  args.n = n;
  args.v = vocab_;
  args.logp = draws.results;
  args.entropy = draws.results + n;
  args.kept_mass = draws.results + 2 * n;
  args.token = reinterpret_cast<int32_t*>(draws.results + 3 * n);
  return draws;
}

void Engine::Pass(const Batch& batch, const Batch::OnDevice& arrays, const Draws& draws) {
  const Matrix hidden = transformer_.Infer(device_, arena_, *weights_, batch, arrays, cache_);
  const int64_t n = draws.args.n;
  if (n == 0) return;
  const Matrix drawn = arena_.NewMatrix(n, hidden.cols, hidden.dtype);
  ops::GatherRows(device_, hidden, draws.rows_on_device, drawn);
  const Matrix head = weights_->parameters.View(transformer_.layout().head());
  const Matrix logits = arena_.NewMatrix(n, head.rows, DType::kF32);
  ops::Linear(device_, drawn, head, logits);
  kernels::SampleArgs args = draws.args;
  args.logits = logits.f32();
  args.ldl = logits.ld;
  device_.Run(device_.table().sample, args);
}

void Engine::Take(Group& group, Sequence& s, int32_t token, float logp, float entropy,
                  float kept_mass) {
  v1::Completion& c = s.completion;
  s.tokens.push_back(token);
  c.add_token_ids(token);
  c.add_logprobs(logp);
  const v1::SamplingParams& p = group.request.sampling;
  const bool truncates = !p.greedy() && (p.top_k() > 0 || (p.top_p() > 0 && p.top_p() < 1));
  if (truncates) c.add_kept_mass(kept_mass);
  if (c.versions().empty() || c.versions().rbegin()->version() != version_)
    c.add_versions()->set_version(version_);
  v1::VersionRun* run = c.mutable_versions(c.versions_size() - 1);
  run->set_tokens(run->tokens() + 1);
  s.entropy_sum += entropy;
  ++generated_tokens_;
  if (const auto reason = s.stopping->Append(token)) Finish(group, s, *reason);
}

}  // namespace hone
