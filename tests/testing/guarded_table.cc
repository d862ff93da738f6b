#include "tests/testing/guarded_table.h"

#include <sys/mman.h>

#include <cstring>
#include <map>
#include <mutex>
#include <type_traits>

#include "libs/base/check.h"

namespace hone::testing {
namespace {

using kernels::Error;
using kernels::Stream;
using kernels::Table;

constexpr uintptr_t kPage = 4096;

// All device memory, and how many kernels are at work on it.
class Guard {
 public:
  void* Allocate(size_t bytes) {
    const size_t size = (bytes / kPage + 1) * kPage;
    void* p = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) return nullptr;
    std::memset(p, 0xff, size);  // NaN; -1
    const std::lock_guard lock(mutex_);
    blocks_[reinterpret_cast<uintptr_t>(p)] = size;
    if (open_ == 0) Protect(PROT_NONE);
    return p;
  }
  void Release(void* p) {
    const std::lock_guard lock(mutex_);
    const auto block = blocks_.find(reinterpret_cast<uintptr_t>(p));
    HONE_CHECK(block != blocks_.end()) << "released twice";
    munmap(p, block->second);
    blocks_.erase(block);
  }
  void Open() {
    const std::lock_guard lock(mutex_);
    if (open_++ == 0) Protect(PROT_READ | PROT_WRITE);
  }
  void Close() {
    const std::lock_guard lock(mutex_);
    if (--open_ == 0) Protect(PROT_NONE);
  }
  bool Holds(uintptr_t address) {
    const std::lock_guard lock(mutex_);
    const auto after = blocks_.upper_bound(address);
    if (after == blocks_.begin()) return false;
    const auto block = std::prev(after);
    return address < block->first + block->second;
  }

 private:
  void Protect(int protection) {
    for (const auto& [begin, size] : blocks_)
      HONE_CHECK(mprotect(reinterpret_cast<void*>(begin), size, protection) == 0);
  }

  std::mutex mutex_;
  std::map<uintptr_t, size_t> blocks_;
  int open_ = 0;
};

Guard& TheGuard() {
  static auto* const guard = new Guard;
  return *guard;
}

bool OnDevice(const void* p) {
  return p == nullptr || TheGuard().Holds(reinterpret_cast<uintptr_t>(p));
}

// Whether a word is the address of memory that the host has. Argument structs hold small integers,
// floats and flags beside pointers; above 2^40, on a mapped page, nothing but a pointer is likely.
bool OnHost(uintptr_t word) {
  if (word < uintptr_t{1} << 40 || word >= uintptr_t{1} << 47 || TheGuard().Holds(word))
    return false;
  unsigned char resident;
  return mincore(reinterpret_cast<void*>(word / kPage * kPage), kPage, &resident) == 0;
}

struct Opened {
  Opened() { TheGuard().Open(); }
  ~Opened() { TheGuard().Close(); }
};

template <typename Entry>
struct ArgsOf;
template <typename T>
struct ArgsOf<Error (*Table::*)(const T&, Stream)> {
  using Args = T;
};

// The CPU's entry, guarded.
template <auto entry>
Error Guarded(const typename ArgsOf<decltype(entry)>::Args& args, Stream stream) {
  auto plain = args;
  static_assert(std::is_trivially_copyable_v<decltype(plain)>);
#if __has_builtin(__builtin_clear_padding)
  __builtin_clear_padding(&plain);  // it may hold parts of old pointers
#endif
  uintptr_t words[sizeof(plain) / sizeof(uintptr_t)];
  std::memcpy(words, &plain, sizeof(words));
  for (const uintptr_t word : words)
    if (OnHost(word)) return "a kernel was given memory of the host";
  const Opened opened;
  return (kernels::Cpu().*entry)(args, stream);
}

Error Upload(const kernels::TransferArgs& args, Stream stream) {
  if (args.bytes > 0 && (!OnDevice(args.to) || OnDevice(args.from)))
    return "an upload is from the host to the device";
  const Opened opened;
  return kernels::Cpu().upload(args, stream);
}

Error Download(const kernels::TransferArgs& args, Stream stream) {
  if (args.bytes > 0 && (OnDevice(args.to) || !OnDevice(args.from)))
    return "a download is from the device to the host";
  const Opened opened;
  return kernels::Cpu().download(args, stream);
}

Table MakeTable() {
  const Table& cpu = kernels::Cpu();
  Table t{};
  t.name = "guarded";
  t.host_visible = false;
  t.has_bf16 = cpu.has_bf16;
  t.open = cpu.open;
  t.close = cpu.close;
  t.allocate = [](int64_t bytes, void** out) -> Error {
    *out = TheGuard().Allocate(static_cast<size_t>(bytes));
    return *out == nullptr ? "out of memory" : nullptr;
  };
  t.release = [](void* p) {
    if (p != nullptr) TheGuard().Release(p);
  };
  t.upload = Upload;
  t.download = Download;
  t.synchronize = cpu.synchronize;
#define HONE_GUARD(entry) t.entry = Guarded<&Table::entry>
  HONE_GUARD(copy);
  HONE_GUARD(zero);
  HONE_GUARD(gemm);
  HONE_GUARD(grouped_gemm);
  HONE_GUARD(rms_norm);
  HONE_GUARD(rms_norm_backward);
  HONE_GUARD(rope);
  HONE_GUARD(bias);
  HONE_GUARD(bias_backward);
  HONE_GUARD(swiglu);
  HONE_GUARD(swiglu_backward);
  HONE_GUARD(gather_rows);
  HONE_GUARD(scatter_rows);
  HONE_GUARD(embedding_backward);
  HONE_GUARD(attention);
  HONE_GUARD(attention_backward);
  HONE_GUARD(mla_keys_backward);
  HONE_GUARD(route);
  HONE_GUARD(route_backward);
  HONE_GUARD(sequence_balance);
  HONE_GUARD(permute);
  HONE_GUARD(combine);
  HONE_GUARD(combine_backward);
  HONE_GUARD(logprob);
  HONE_GUARD(logprob_backward);
  HONE_GUARD(sample);
  HONE_GUARD(adamw);
  HONE_GUARD(axpby);
  HONE_GUARD(cast);
  HONE_GUARD(sum_squares);
  HONE_GUARD(count_marked);
  HONE_GUARD(collect_marked);
  HONE_GUARD(place_marked);
  HONE_GUARD(digest);
#undef HONE_GUARD
  return t;
}

}  // namespace

const Table& GuardedTable() {
  static const Table table = MakeTable();
  return table;
}

}  // namespace hone::testing
