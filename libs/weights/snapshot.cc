#include "libs/weights/snapshot.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "libs/tensor/pieces.h"
#include "xxhash.h"

namespace hone {
namespace {

// A checksum whose bytes come in pieces: that of all at once.
class XxhState {
 public:
  XxhState() : state_(XXH3_createState(), &XXH3_freeState) { XXH3_64bits_reset(state_.get()); }
  XXH3_state_t* get() const { return state_.get(); }

 private:
  const std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> state_;
};

}  // namespace

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
  for (int64_t begin = 0; begin < snapshot->bytes_; begin += kMaxChunkBytes) {
    v1::Chunk& chunk = *snapshot->chunks_.emplace_back().mutable_chunk();
    chunk.set_version(version);
    chunk.set_offset(begin);
    chunk.mutable_data()->resize(
        static_cast<size_t>(std::min(kMaxChunkBytes, snapshot->bytes_ - begin)));
  }
  std::vector<uint64_t> checksums;
  const Device on(weights.table(), 1);
  int64_t first = 0;  // of the arena's bytes in the concatenation
  const auto add = [&](const std::vector<Parameter>& parameters, const ParameterArena& arena) {
    snapshot->ForEachPiece(first, arena.bytes(), [&](char* piece, int64_t at, int64_t bytes) {
      on.Read(piece, static_cast<const char*>(arena.data()) + at, bytes);
    });
    for (const Parameter& p : parameters) {
      v1::TensorEntry& t = *m.add_tensors();
      t.set_name(p.name);
      t.set_dtype(arena.dtype() == DType::kF32 ? "F32" : "BF16");
      if (p.rows > 1) t.add_shape(p.rows);
      t.add_shape(p.cols);
      t.set_bytes(p.size() * BytesOf(arena.dtype()));
      XxhState state;
      snapshot->ForEachPiece(first + p.offset * BytesOf(arena.dtype()), t.bytes(),
                             [&](const char* piece, int64_t, int64_t bytes) {
                               XXH3_64bits_update(state.get(), piece, static_cast<size_t>(bytes));
                             });
      t.set_checksum(XXH3_64bits_digest(state.get()));
      checksums.push_back(t.checksum());
    }
    first += arena.bytes();
  };
  add(layout.trained(), weights.trained());
  add(layout.biases(), weights.biases);
  m.set_digest(XXH3_64bits(checksums.data(), checksums.size() * sizeof(uint64_t)));
  for (v1::SubscribeResponse& message : snapshot->chunks_)
    message.mutable_chunk()->set_checksum(
        XXH3_64bits(message.chunk().data().data(), message.chunk().data().size()));
  return snapshot;
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

namespace {
uint64_t DigestOf(const ParameterArena& arena) {
  XxhState state;
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
