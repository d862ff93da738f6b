#include "libs/weights/stager.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/model/lora.h"
#include "libs/weights/snapshot.h"
#include "xxhash.h"

namespace hone {

// Its checksum so far. Bytes come in order, so that nothing has to be read back from a device.
struct Stager::Tensor {
  Tensor() : hash(XXH3_createState()) { XXH3_64bits_reset(hash); }
  ~Tensor() { XXH3_freeState(hash); }
  Tensor(const Tensor&) = delete;
  Tensor& operator=(const Tensor&) = delete;

  XXH3_state_t* const hash;
  int index = 0;      // in the manifest
  int64_t bytes = 0;  // received
};

Stager::Stager(std::string run_id, const ParameterLayout& layout, DType dtype,
               std::shared_ptr<const Weights> base, int64_t have_version,
               const kernels::Table& table)
    : run_id_(std::move(run_id)),
      layout_(layout),
      dtype_(dtype),
      base_(std::move(base)),
      base_digest_(base_ ? BaseDigest(*base_) : 0),
      version_(have_version),
      on_(table, 1) {
  HONE_CHECK(layout.adapted() == (base_ != nullptr));
}

Stager::~Stager() = default;

absl::Status Stager::Check(const v1::Manifest& m) const {
  if (m.run_id() != run_id_)
    return absl::InvalidArgumentError(
        absl::StrCat("weights of run ", m.run_id(), " came for run ", run_id_));
  if (m.version() <= version_)
    return absl::FailedPreconditionError(
        absl::StrCat("weights version ", m.version(), " came after ", version_));
  if (m.encoding() != v1::ENCODING_FULL)
    return absl::UnimplementedError(absl::StrCat("weights encoding ", m.encoding()));
  if (m.base_digest() != base_digest_)
    return absl::InvalidArgumentError(
        absl::StrCat("weights belong to another frozen model: its digest is ", m.base_digest(),
                     ", that of the model here is ", base_digest_));
  const std::vector<Parameter>& trained = layout_.trained();
  const size_t count = trained.size() + layout_.biases().size();
  if (static_cast<size_t>(m.tensors_size()) != count)
    return absl::InvalidArgumentError(
        absl::StrCat("weights have ", m.tensors_size(), " tensors; this model has ", count));
  for (size_t i = 0; i < count; ++i) {
    const bool bias = i >= trained.size();
    const Parameter& p = bias ? layout_.biases()[i - trained.size()] : trained[i];
    const DType dtype = bias || layout_.adapted() ? DType::kF32 : dtype_;
    const v1::TensorEntry& t = m.tensors(static_cast<int>(i));
    if (t.name() != p.name || t.dtype() != (dtype == DType::kF32 ? "F32" : "BF16") ||
        t.bytes() != p.size() * BytesOf(dtype))
      return absl::InvalidArgumentError(
          absl::StrCat("weights tensor ", i, " is ", t.name(), " ", t.dtype(), " of ", t.bytes(),
                       " bytes; this model has ", p.name, " of ", p.size() * BytesOf(dtype)));
  }
  return absl::OkStatus();
}

absl::Status Stager::Begin(const v1::Manifest& manifest) {
  HONE_RETURN_IF_ERROR(Check(manifest));
  manifest_ = manifest;
  staging_ = base_ ? std::make_shared<Weights>(layout_, *base_)
                   : std::make_shared<Weights>(layout_, dtype_, on_.table());
  tensor_ = std::make_unique<Tensor>();
  damaged_.clear();
  received_ = 0;
  total_ = staging_->trained().bytes() + staging_->biases.bytes();
  return absl::OkStatus();
}

// The wire's concatenation is the arena of what is trained followed by the biases.
void Stager::Place(const char* data, int64_t size) {
  const int64_t split = staging_->trained().bytes();
  const int64_t first = std::clamp<int64_t>(split - received_, 0, size);
  on_.Write(static_cast<char*>(staging_->trained().data()) + std::min(received_, split), data,
            first);
  if (first < size)
    on_.Write(static_cast<char*>(staging_->biases.data()) + (received_ + first - split),
              data + first, size - first);
  received_ += size;
  for (int64_t at = 0; at < size;) {
    const v1::TensorEntry& t = manifest_.tensors(tensor_->index);
    const int64_t n = std::min(t.bytes() - tensor_->bytes, size - at);
    XXH3_64bits_update(tensor_->hash, data + at, static_cast<size_t>(n));
    at += n;
    tensor_->bytes += n;
    if (tensor_->bytes < t.bytes()) break;
    if (XXH3_64bits_digest(tensor_->hash) != t.checksum() && damaged_.empty()) damaged_ = t.name();
    XXH3_64bits_reset(tensor_->hash);
    tensor_->bytes = 0;
    ++tensor_->index;
  }
}

absl::Status Stager::Add(const v1::Chunk& chunk) {
  const auto size = static_cast<int64_t>(chunk.data().size());
  if (staging_ == nullptr || chunk.version() != manifest_.version() ||
      chunk.offset() != received_ || size > total_ - received_ || size == 0)
    return absl::InvalidArgumentError(absl::StrCat(
        "chunk of version ", chunk.version(), " at ", chunk.offset(), " with ", size,
        " bytes; expected version ", manifest_.version(), " at ", received_, " of ", total_));
  if (XXH3_64bits(chunk.data().data(), chunk.data().size()) != chunk.checksum())
    return absl::DataLossError(absl::StrCat("chunk at ", chunk.offset(), " of weights version ",
                                            chunk.version(), " has a wrong checksum"));
  Place(chunk.data().data(), size);
  if (received_ < total_ || damaged_.empty()) return absl::OkStatus();
  staging_ = nullptr;
  return absl::DataLossError(absl::StrCat("tensor ", damaged_, " of weights version ",
                                          manifest_.version(), " has a wrong checksum"));
}

std::shared_ptr<Weights> Stager::Take() {
  if (staging_ == nullptr || received_ < total_) return nullptr;
  version_ = manifest_.version();
  if (layout_.adapted()) {
    Arena arena(on_.table());
    MergeAdapters(on_, arena, layout_, *staging_);
  }
  on_.Synchronize();
  return std::move(staging_);
}

}  // namespace hone
