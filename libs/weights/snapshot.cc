#include "libs/weights/snapshot.h"

#include <algorithm>
#include <vector>

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
  snapshot->data_.reserve(static_cast<size_t>(weights.trained().bytes() + weights.biases.bytes()));
  std::vector<uint64_t> checksums;
  const auto add = [&](const std::vector<Parameter>& parameters, const ParameterArena& arena) {
    for (const Parameter& p : parameters) {
      v1::TensorEntry& t = *m.add_tensors();
      t.set_name(p.name);
      t.set_dtype(arena.dtype() == DType::kF32 ? "F32" : "BF16");
      if (p.rows > 1) t.add_shape(p.rows);
      t.add_shape(p.cols);
      t.set_bytes(p.size() * BytesOf(arena.dtype()));
      const char* data = static_cast<const char*>(arena.View(p).data);
      t.set_checksum(XXH3_64bits(data, static_cast<size_t>(t.bytes())));
      checksums.push_back(t.checksum());
      snapshot->data_.append(data, static_cast<size_t>(t.bytes()));
    }
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
  chunk.set_data(data_.data() + begin, static_cast<size_t>(size));
  chunk.set_checksum(XXH3_64bits(chunk.data().data(), chunk.data().size()));
  return chunk;
}

uint64_t WeightsDigest(const Weights& weights) {
  const uint64_t parts[] = {
      XXH3_64bits(weights.trained().data(), static_cast<size_t>(weights.trained().bytes())),
      XXH3_64bits(weights.biases.data(), static_cast<size_t>(weights.biases.bytes()))};
  return XXH3_64bits(parts, sizeof(parts));
}

uint64_t BaseDigest(const Weights& weights) {
  if (weights.adapters.size() == 0) return 0;
  return XXH3_64bits(weights.parameters.data(), static_cast<size_t>(weights.parameters.bytes()));
}

}  // namespace hone
