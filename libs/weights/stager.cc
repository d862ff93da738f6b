#include "libs/weights/stager.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/model/lora.h"
#include "libs/weights/snapshot.h"
#include "xxhash.h"

namespace hone {

Stager::Stager(std::string run_id, const ParameterLayout& layout, DType dtype,
               std::shared_ptr<const Weights> base, int64_t have_version)
    : run_id_(std::move(run_id)),
      layout_(layout),
      dtype_(dtype),
      base_(std::move(base)),
      base_digest_(base_ ? BaseDigest(*base_) : 0),
      version_(have_version) {
  HONE_CHECK(layout.adapted() == (base_ != nullptr));
}

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
                   : std::make_shared<Weights>(layout_, dtype_);
  received_ = 0;
  total_ = staging_->trained().bytes() + staging_->biases.bytes();
  return absl::OkStatus();
}

// The wire's concatenation is the arena of what is trained followed by the biases.
void Stager::Copy(int64_t offset, const char* data, int64_t size) {
  const int64_t split = staging_->trained().bytes();
  const int64_t first = std::clamp<int64_t>(split - offset, 0, size);
  std::memcpy(static_cast<char*>(staging_->trained().data()) + std::min(offset, split), data,
              static_cast<size_t>(first));
  if (first < size)
    std::memcpy(static_cast<char*>(staging_->biases.data()) + (offset + first - split),
                data + first, static_cast<size_t>(size - first));
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
  Copy(received_, chunk.data().data(), size);
  received_ += size;
  if (received_ < total_) return absl::OkStatus();
  const auto verify = [&](int index, const Parameter& p, const ParameterArena& arena) {
    const v1::TensorEntry& t = manifest_.tensors(index);
    return XXH3_64bits(arena.View(p).data, static_cast<size_t>(t.bytes())) == t.checksum()
               ? absl::OkStatus()
               : absl::DataLossError(absl::StrCat("tensor ", t.name(), " of weights version ",
                                                  manifest_.version(), " has a wrong checksum"));
  };
  int index = 0;
  for (const Parameter& p : layout_.trained())
    HONE_RETURN_IF_ERROR(verify(index++, p, staging_->trained()));
  for (const Parameter& p : layout_.biases())
    HONE_RETURN_IF_ERROR(verify(index++, p, staging_->biases));
  return absl::OkStatus();
}

std::shared_ptr<Weights> Stager::Take() {
  if (staging_ == nullptr || received_ < total_) return nullptr;
  version_ = manifest_.version();
  if (layout_.adapted()) {
    Arena arena;
    MergeAdapters(Device(kernels::Cpu(), 1), arena, layout_, *staging_);
  }
  return std::move(staging_);
}

}  // namespace hone
