#include "libs/weights/snapshot.h"

#include <algorithm>
#include <numeric>

#include "kernels/mix.h"
#include "libs/weights/segments.h"
#include "xxhash.h"

namespace hone {

Snapshot::Snapshot(const WeightsVersion& v, v1::Encoding encoding, int64_t base_version,
                   int64_t bytes) {
  manifest_.set_run_id(v.run_id);
  manifest_.set_version(v.version);
  manifest_.set_base_version(base_version);
  manifest_.set_encoding(encoding);
  manifest_.set_base_digest(v.base_digest);
  manifest_.set_digest(WeightsDigest(*v.weights));
  manifest_.set_bytes(bytes);
  AddTensors(v.layout.trained(), v.weights->trained().dtype());
  AddTensors(v.layout.biases(), v.weights->biases.dtype());
  for (int64_t begin = 0; begin < bytes; begin += kMaxChunkBytes) {
    v1::Chunk& chunk = *chunks_.emplace_back().mutable_chunk();
    chunk.set_version(v.version);
    chunk.set_offset(begin);
    chunk.mutable_data()->resize(static_cast<size_t>(std::min(kMaxChunkBytes, bytes - begin)));
  }
}

void Snapshot::AddTensors(const std::vector<Parameter>& parameters, DType dtype) {
  for (const Parameter& p : parameters) {
    v1::TensorEntry& t = *manifest_.add_tensors();
    t.set_name(p.name);
    t.set_dtype(dtype == DType::kF32 ? "F32" : "BF16");
    if (p.rows > 1) t.add_shape(p.rows);
    t.add_shape(p.cols);
    t.set_bytes(p.size() * BytesOf(dtype));
  }
}

template <typename F>
void Snapshot::ForEachPiece(int64_t begin, int64_t bytes, F f) {
  for (int64_t at = 0; at < bytes;) {
    std::string& data = *chunks_[static_cast<size_t>((begin + at) / kMaxChunkBytes)]
                             .mutable_chunk()
                             ->mutable_data();
    const int64_t inside = (begin + at) % kMaxChunkBytes;
    const int64_t n = std::min(bytes - at, static_cast<int64_t>(data.size()) - inside);
    f(data.data() + inside, at, n);
    at += n;
  }
}

void Snapshot::Fill(const Device& on, int64_t begin, const void* from, int64_t bytes) {
  ForEachPiece(begin, bytes, [&](char* piece, int64_t at, int64_t n) {
    on.Read(piece, static_cast<const char*>(from) + at, n);
  });
}

void Snapshot::Seal() {
  for (v1::SubscribeResponse& message : chunks_)
    message.mutable_chunk()->set_checksum(
        XXH3_64bits(message.chunk().data().data(), message.chunk().data().size()));
}

std::shared_ptr<const Snapshot> Snapshot::Take(const WeightsVersion& v) {
  const ParameterArena &trained = v.weights->trained(), &biases = v.weights->biases;
  const std::shared_ptr<Snapshot> s(
      new Snapshot(v, v1::ENCODING_FULL, -1, trained.bytes() + biases.bytes()));
  const Device on(v.weights->table(), 1);
  s->Fill(on, 0, trained.data(), trained.bytes());
  s->Fill(on, trained.bytes(), biases.data(), biases.bytes());
  const std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> state(XXH3_createState(),
                                                                       &XXH3_freeState);
  int64_t begin = 0;
  for (v1::TensorEntry& t : *s->manifest_.mutable_tensors()) {
    XXH3_64bits_reset(state.get());
    s->ForEachPiece(begin, t.bytes(), [&](const char* piece, int64_t, int64_t bytes) {
      XXH3_64bits_update(state.get(), piece, static_cast<size_t>(bytes));
    });
    t.set_checksum(XXH3_64bits_digest(state.get()));
    begin += t.bytes();
  }
  s->Seal();
  return s;
}

std::shared_ptr<const Snapshot> Snapshot::TakeChanges(const WeightsVersion& v, int64_t max_bytes) {
  WeightChanges& changes = *v.changes;
  const ParameterArena &trained = v.weights->trained(), &biases = v.weights->biases;
  HONE_CHECK(trained.dtype() == DType::kBF16 && changes.since() >= 0 &&
             changes.size() == trained.size());
  const kernels::Table& table = v.weights->table();
  const Device on(table, 1);
  Arena arena(table);
  const int64_t segments = SegmentsOf(changes.size());
  uint32_t* const counts = arena.NewArray<uint32_t>(segments);
  on.Run(table.count_marked,
         kernels::CountMarkedArgs{.bits = changes.bits(), .n = changes.size(), .counts = counts});
  std::vector<uint32_t> of_segment(static_cast<size_t>(segments));
  on.Read(of_segment.data(), counts, segments);
  const std::vector<int64_t> starts = SegmentStarts(of_segment);
  const int64_t count = starts.back();
  const int64_t bytes = segments * 4 + count * 4 + biases.bytes();
  if (bytes > max_bytes) return nullptr;

  uint16_t* const places = arena.NewArray<uint16_t>(count);
  uint16_t* const values = arena.NewArray<uint16_t>(count);
  const auto [on_device] = on.Upload(arena, starts);
  on.Run(table.collect_marked,
         kernels::CollectMarkedArgs{.bits = changes.bits(),
                                    .x = static_cast<const uint16_t*>(trained.data()),
                                    .n = changes.size(),
                                    .starts = on_device,
                                    .places = places,
                                    .values = values});
  const std::shared_ptr<Snapshot> s(
      new Snapshot(v, v1::ENCODING_SPARSE_DELTA, changes.since(), bytes));
  int64_t begin = 0;
  const auto add = [&](const void* from, int64_t n) {
    s->Fill(on, begin, from, n);
    begin += n;
  };
  add(counts, segments * 4);
  add(places, count * 2);
  add(values, count * 2);
  add(biases.data(), biases.bytes());
  s->Seal();
  return s;
}

namespace {
// Of each arena.
std::vector<uint64_t> DigestsOf(const kernels::Table& table,
                                const std::vector<const ParameterArena*>& arenas) {
  const Device on(table, 1);
  const auto n = static_cast<int64_t>(arenas.size());
  Arena arena(table);
  uint64_t* const sums = arena.NewArray<uint64_t>(n);
  on.Zero(sums, n * static_cast<int64_t>(sizeof(uint64_t)));
  for (int64_t i = 0; i < n; ++i)
    on.Run(table.digest, kernels::DigestArgs{.x = arenas[static_cast<size_t>(i)]->data(),
                                             .bytes = arenas[static_cast<size_t>(i)]->bytes(),
                                             .out = sums + i});
  std::vector<uint64_t> out(arenas.size());
  on.Read(out.data(), sums, n);
  return out;
}
}  // namespace

uint64_t WeightsDigest(const Weights& weights) {
  const std::vector<uint64_t> sums =
      DigestsOf(weights.table(), {&weights.trained(), &weights.biases});
  return kernels::Mix(0, sums[0]) + kernels::Mix(1, sums[1]);
}

uint64_t BaseDigest(const Weights& weights) {
  if (weights.adapters.size() == 0) return 0;
  return DigestsOf(weights.table(), {&weights.parameters})[0];
}

}  // namespace hone
