#include "libs/weights/stager.h"

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/base/mutex.h"
#include "libs/base/status.h"
#include "libs/model/lora.h"
#include "libs/weights/segments.h"
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

// Keeps one, which is enough: the version in use and the next one take turns. Memory of a device is
// costly to come by, and giving it back stops what the device does. Thread-safe.
class Stager::Spares {
 public:
  std::unique_ptr<Weights> Take() {
    MutexLock lock(mu_);
    ++lent_;
    return std::move(spare_);
  }
  void Give(std::unique_ptr<Weights> weights) {
    MutexLock lock(mu_);
    --lent_;
    if (spare_ == nullptr) spare_ = std::move(weights);
    changed_.notify_all();
  }
  // Waits until at most `most` are out. False after Close.
  bool WaitForReturn(int most) {
    MutexLock lock(mu_);
    lock.Wait(changed_,
              [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return closed_ || lent_ <= most; });
    return !closed_;
  }
  void Close() {
    MutexLock lock(mu_);
    closed_ = true;
    changed_.notify_all();
  }

 private:
  Mutex mu_;
  std::condition_variable changed_;
  std::unique_ptr<Weights> spare_ ABSL_GUARDED_BY(mu_);
  int lent_ ABSL_GUARDED_BY(mu_) = 0;
  bool closed_ ABSL_GUARDED_BY(mu_) = false;
};

Stager::Stager(std::string run_id, const ParameterLayout& layout, DType dtype,
               std::shared_ptr<const Weights> base, const kernels::Table& table)
    : run_id_(std::move(run_id)),
      layout_(layout),
      dtype_(dtype),
      base_(std::move(base)),
      base_digest_(base_ ? BaseDigest(*base_) : 0),
      on_(table, 1),
      spares_(std::make_shared<Spares>()) {
  HONE_CHECK(layout.adapted() == (base_ != nullptr));
}

Stager::~Stager() = default;

bool Stager::WaitForRoom() {
  Forget();
  // Weights that only this object has are where the next ones go.
  return spares_->WaitForReturn(have_.use_count() == 1 ? 2 : 1);
}

void Stager::Close() {
  spares_->Close();
}

void Stager::Forget() {
  receiving_ = false;
  staging_ = nullptr;
  changes_.clear();
}

absl::Status Stager::Check(const v1::Manifest& m) const {
  if (m.run_id() != run_id_)
    return absl::InvalidArgumentError(
        absl::StrCat("weights of run ", m.run_id(), " came for run ", run_id_));
  if (m.version() <= have_version_)
    return absl::FailedPreconditionError(
        absl::StrCat("weights version ", m.version(), " came after ", have_version_));
  if (m.base_digest() != base_digest_)
    return absl::InvalidArgumentError(
        absl::StrCat("weights belong to another frozen model: its digest is ", m.base_digest(),
                     ", that of the model here is ", base_digest_));
  const std::vector<Parameter>& trained = layout_.trained();
  const size_t count = trained.size() + layout_.biases().size();
  if (static_cast<size_t>(m.tensors_size()) != count)
    return absl::InvalidArgumentError(
        absl::StrCat("weights have ", m.tensors_size(), " tensors; this model has ", count));
  int64_t bytes = 0;
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
    bytes += t.bytes();
  }
  if (m.encoding() == v1::ENCODING_SPARSE_DELTA) return CheckSparse(m);
  if (m.encoding() != v1::ENCODING_FULL)
    return absl::UnimplementedError(absl::StrCat("weights encoding ", m.encoding()));
  if (m.bytes() != bytes)
    return absl::InvalidArgumentError(absl::StrCat("weights version ", m.version(), " announces ",
                                                   m.bytes(), " bytes; its tensors have ", bytes));
  return absl::OkStatus();
}

absl::Status Stager::CheckSparse(const v1::Manifest& m) const {
  if (have_ == nullptr || m.base_version() != have_version_)
    return absl::FailedPreconditionError(absl::StrCat("changes of the weights since version ",
                                                      m.base_version(), " came to version ",
                                                      have_ == nullptr ? -1 : have_version_));
  const int64_t least = 4 * SegmentsOf(layout_.trained_size()) + have_->biases.bytes();
  if (m.bytes() < least || m.bytes() > least + 4 * layout_.trained_size())
    return absl::InvalidArgumentError(absl::StrCat("changes of the weights announce ", m.bytes(),
                                                   " bytes; expected ", least, " to ",
                                                   least + 4 * layout_.trained_size()));
  return absl::OkStatus();
}

// With any values.
std::shared_ptr<Weights> Stager::NewWeights() const {
  std::unique_ptr<Weights> weights = spares_->Take();
  if (weights == nullptr)
    weights = base_ ? std::make_unique<Weights>(layout_, *base_)
                    : std::make_unique<Weights>(layout_, dtype_, on_.table());
  return {weights.release(),
          [spares = spares_](Weights* w) { spares->Give(std::unique_ptr<Weights>(w)); }};
}

absl::Status Stager::Begin(const v1::Manifest& manifest) {
  HONE_RETURN_IF_ERROR(Check(manifest));
  Forget();
  manifest_ = manifest;
  receiving_ = true;
  received_ = 0;
  damaged_.clear();
  if (manifest.encoding() == v1::ENCODING_SPARSE_DELTA) return absl::OkStatus();
  if (have_.use_count() == 1) DropBase();  // nobody else has it: its memory serves
  staging_ = NewWeights();
  tensor_ = std::make_unique<Tensor>();
  return absl::OkStatus();
}

// The wire's concatenation is the arena of what is trained followed by the biases.
void Stager::PlaceWhole(const char* data, int64_t size) {
  const int64_t split = staging_->trained().bytes();
  const int64_t first = std::clamp<int64_t>(split - received_, 0, size);
  on_.Write(static_cast<char*>(staging_->trained().data()) + std::min(received_, split), data,
            first);
  if (first < size)
    on_.Write(static_cast<char*>(staging_->biases.data()) + (received_ + first - split),
              data + first, size - first);
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

absl::Status Stager::ApplyChanges() {
  const int64_t n = layout_.trained_size(), segments = SegmentsOf(n);
  const auto damage = [&](auto... what) {
    return absl::DataLossError(
        absl::StrCat("changes to weights version ", manifest_.version(), ": ", what...));
  };
  const char* from = changes_.data();
  const auto read = [&]<typename T>(T, int64_t count) {
    std::vector<T> x(static_cast<size_t>(count));
    std::memcpy(x.data(), from, x.size() * sizeof(T));
    from += x.size() * sizeof(T);
    return x;
  };
  const std::vector<int64_t> starts = SegmentStarts(read(uint32_t{}, segments));
  const int64_t biases = have_->biases.bytes();
  if (4 * (segments + starts.back()) + biases != manifest_.bytes())
    return damage(starts.back(), " elements do not fill ", manifest_.bytes(), " bytes");
  const std::vector<uint16_t> places = read(uint16_t{}, starts.back());
  const std::vector<uint16_t> values = read(uint16_t{}, starts.back());
  for (int64_t s = 0; s < segments; ++s) {
    const int64_t length = std::min(kernels::kSegment, n - s * kernels::kSegment);
    int64_t before = -1;
    for (int64_t i = starts[static_cast<size_t>(s)]; i < starts[static_cast<size_t>(s) + 1]; ++i) {
      const int64_t place = places[static_cast<size_t>(i)];
      if (place <= before || place >= length)
        return damage("place ", place, " after ", before, " in segment ", s, " of ", length);
      before = place;
    }
  }
  if (have_.use_count() == 1) {  // nobody else has it: into it
    staging_ = std::const_pointer_cast<Weights>(have_);
    DropBase();
  } else {
    staging_ = NewWeights();
    CopyTrained(on_, *have_, *staging_);
  }
  Arena arena(on_.table());
  const auto [starts_there, places_there, values_there] = on_.Upload(arena, starts, places, values);
  on_.Run(on_.table().place_marked,
          kernels::PlaceMarkedArgs{.x = static_cast<uint16_t*>(staging_->trained().data()),
                                   .n = n,
                                   .starts = starts_there,
                                   .places = places_there,
                                   .values = values_there});
  on_.Write(static_cast<char*>(staging_->biases.data()), from, biases);
  on_.Synchronize();
  return absl::OkStatus();
}

void Stager::DropBase() {
  have_ = nullptr;
  have_version_ = -1;
}

absl::Status Stager::Finish() {
  receiving_ = false;
  absl::Status status;
  if (manifest_.encoding() == v1::ENCODING_SPARSE_DELTA) {
    status = ApplyChanges();
    changes_ = {};
  } else if (!damaged_.empty()) {
    status = absl::DataLossError(absl::StrCat("tensor ", damaged_, " of weights version ",
                                              manifest_.version(), " has a wrong checksum"));
  }
  if (status.ok()) {
    on_.Synchronize();
    const uint64_t digest = WeightsDigest(*staging_);
    if (digest != manifest_.digest())
      status = absl::DataLossError(absl::StrCat("weights version ", manifest_.version(),
                                                " came out with digest ", digest,
                                                "; the learner's is ", manifest_.digest()));
  }
  if (status.ok()) return status;
  staging_ = nullptr;
  DropBase();  // who knows what the changes were applied to
  return status;
}

absl::Status Stager::Add(const v1::Chunk& chunk) {
  const auto size = static_cast<int64_t>(chunk.data().size());
  if (!receiving_ || chunk.version() != manifest_.version() || chunk.offset() != received_ ||
      size > manifest_.bytes() - received_ || size == 0)
    return absl::InvalidArgumentError(absl::StrCat("chunk of version ", chunk.version(), " at ",
                                                   chunk.offset(), " with ", size,
                                                   " bytes; expected version ", manifest_.version(),
                                                   " at ", received_, " of ", manifest_.bytes()));
  if (XXH3_64bits(chunk.data().data(), chunk.data().size()) != chunk.checksum())
    return absl::DataLossError(absl::StrCat("chunk at ", chunk.offset(), " of weights version ",
                                            chunk.version(), " has a wrong checksum"));
  if (staging_ != nullptr)
    PlaceWhole(chunk.data().data(), size);
  else
    changes_.append(chunk.data());
  received_ += size;
  return received_ < manifest_.bytes() ? absl::OkStatus() : Finish();
}

std::shared_ptr<const Weights> Stager::Take() {
  if (receiving_ || staging_ == nullptr) return nullptr;
  if (layout_.adapted()) {
    Arena arena(on_.table());
    MergeAdapters(on_, arena, layout_, *staging_);
    on_.Synchronize();
  }
  const std::shared_ptr<const Weights> complete = std::move(staging_);
  have_version_ = manifest_.version();
  // Adapters and f32 weights come whole every time.
  if (!layout_.adapted() && dtype_ == DType::kBF16) have_ = complete;
  if (have_version_ <= version_) return nullptr;
  version_ = have_version_;
  return complete;
}

}  // namespace hone
