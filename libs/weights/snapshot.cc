#include "libs/weights/snapshot.h"

#include <algorithm>
#include <vector>

#include "libs/tensor/pieces.h"
#include "xxhash.h"

namespace hone {

std::shared_ptr<const Snapshot> Snapshot::Take(const std::string& run_id, int64_t version,
                                               const ParameterLayout& layout,
                                               const Weights& weights, uint64_t base_digest) {
  auto snapshot = std::make_shared<Snapshot>();
  v1::Manifest& m = snapshot->manifest_;
  m.set_run_id(run_id);
  m.set_version(version);
  m.set_base_version(-1);
  m.set_encoding(v1::ENCODING_FULL);
  m.set_base_digest(base_digest);
  snapshot->bytes_ = weights.trained().bytes() + weights.biases.bytes();
  snapshot->data_ = std::make_unique_for_overwrite<char[]>(static_cast<size_t>(snapshot->bytes_));
  std::vector<uint64_t> checksums;
  const Device on(weights.table(), 1);
  char* to = snapshot->data_.get();
  const auto add = [&](const std::vector<Parameter>& parameters, const ParameterArena& arena) {
    on.Read(to, static_cast<const char*>(arena.data()), arena.bytes());
    for (const Parameter& p : parameters) {
      v1::TensorEntry& t = *m.add_tensors();
      t.set_name(p.name);
      t.set_dtype(arena.dtype() == DType::kF32 ? "F32" : "BF16");
      if (p.rows > 1) t.add_shape(p.rows);
      t.add_shape(p.cols);
      t.set_bytes(p.size() * BytesOf(arena.dtype()));
      t.set_checksum(
          XXH3_64bits(to + p.offset * BytesOf(arena.dtype()), static_cast<size_t>(t.bytes())));
      checksums.push_back(t.checksum());
    }
    to += arena.bytes();
  };
  add(layout.trained(), weights.trained());
  add(layout.biases(), weights.biases);
  m.set_digest(XXH3_64bits(checksums.data(), checksums.size() * sizeof(uint64_t)));
  return snapshot;
}

v1::Chunk Snapshot::MakeChunk(int64_t begin) const {
  const int64_t size = std::min(kMaxChunkBytes, bytes() - begin);
  v1::Chunk chunk;
  chunk.set_version(version());
  chunk.set_offset(begin);
  chunk.set_data(data_.get() + begin, static_cast<size_t>(size));
  chunk.set_checksum(XXH3_64bits(chunk.data().data(), chunk.data().size()));
  return chunk;
}

namespace {
uint64_t DigestOf(const ParameterArena& arena) {
  const std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> state(XXH3_createState(),
                                                                       &XXH3_freeState);
  XXH3_64bits_reset(state.get());
  const absl::Status read = ReadPieces(
      arena.table(), arena.data(), arena.bytes(), [&](const char* piece, int64_t, int64_t bytes) {
        XXH3_64bits_update(state.get(), piece, static_cast<size_t>(bytes));
        return absl::OkStatus();
      });
  HONE_CHECK(read.ok()) << read.ToString();
  return XXH3_64bits_digest(state.get());
}
}  // namespace

uint64_t WeightsDigest(const Weights& weights) {
  const uint64_t parts[] = {DigestOf(weights.trained()), DigestOf(weights.biases)};
  return XXH3_64bits(parts, sizeof(parts));
}

uint64_t BaseDigest(const Weights& weights) {
  if (weights.adapters.size() == 0) return 0;
  return DigestOf(weights.parameters);
}

}  // namespace hone
