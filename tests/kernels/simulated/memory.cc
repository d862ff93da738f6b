// Loads, stores and atomics.

#include <cstring>
#include <type_traits>

#include "tests/kernels/simulated/device_memory.h"
#include "tests/kernels/simulated/hazards.h"

namespace hone::simulated {

uint8_t* Shared(Warp& w, const Instruction& i, uint64_t address, int64_t bytes) {
  std::vector<uint8_t>& shared = w.block->shared;
  const uint64_t at = address - kSharedBase;
  if (at >= shared.size() || at + static_cast<uint64_t>(bytes) > shared.size())
    Fail(w, i, "shared address %llx; the block has %zu bytes from %llx on",
         static_cast<unsigned long long>(address), shared.size(),
         static_cast<unsigned long long>(kSharedBase));
  return shared.data() + at;
}

namespace {

enum class Space { kGlobal, kShared, kParameter, kLocal };

template <Space kSpace>
uint8_t* At(Warp& w, const Instruction& i, uint64_t address, int64_t bytes, int lane) {
  if (address % static_cast<uint64_t>(bytes) != 0)
    Fail(w, i, "misaligned: %lld bytes at %llx", static_cast<long long>(bytes),
         static_cast<unsigned long long>(address));
  if constexpr (kSpace == Space::kGlobal) {
    return DeviceBytes(address, bytes, i.text.c_str());
  } else if constexpr (kSpace == Space::kShared) {
    return Shared(w, i, address, bytes);
  } else {
    constexpr bool kLocal = kSpace == Space::kLocal;
    const Grid& grid = *w.block->grid;
    const auto own =
        static_cast<uint64_t>(kLocal ? grid.kernel->local_bytes : grid.kernel->parameter_bytes);
    const uint64_t at = address - (kLocal ? 0 : kParameterWindow);
    if (at >= own || at + static_cast<uint64_t>(bytes) > own)
      Fail(w, i, "address %llx", static_cast<unsigned long long>(address));
    // Nobody stores to parameters.
    return kLocal ? w.local.data() + static_cast<uint64_t>(lane) * own + at
                  : const_cast<uint8_t*>(grid.parameters.data()) + at;
  }
}

template <typename T>
void SetAny(Warp& w, const Register& r, int lane, T value) {
  if (r.file == File::kNone) return;
  // A register may be wider than what is loaded, which is extended by its own sign.
  if constexpr (std::is_integral_v<T>) {
    if (r.file == File::kLong) {
      w.Longs(r.index)[lane] = static_cast<uint64_t>(static_cast<int64_t>(value));
    } else {
      w.Words(r.index)[lane] = static_cast<uint32_t>(static_cast<int32_t>(value));
    }
  } else {
    Row<T>(w, r).Set(lane, value);
  }
}
template <typename T>
T GetAny(Warp& w, const Register& r, int lane) {
  if constexpr (std::is_integral_v<T>) {
    return static_cast<T>(r.file == File::kLong ? w.Longs(r.index)[lane] : w.Words(r.index)[lane]);
  } else {
    return Row<T>(w, r)[lane];
  }
}

template <Space kSpace, typename T, size_t kCount>
void Load(Warp& w, const Instruction& i, uint32_t mask) {
  constexpr int64_t kBytes = sizeof(T) * kCount;
  const Register& from = i.operands[kCount > 1 ? 0 : 1];
  HONE_LANES(l, mask) {
    const uint64_t address = Address(w, i, from, l);
    T values[kCount];
    std::memcpy(values, At<kSpace>(w, i, address, kBytes, l), kBytes);
    if constexpr (kSpace == Space::kShared) ReadShared(w, i, address, kBytes);
    if constexpr (kSpace == Space::kGlobal) ReadDevice(w, i, address, kBytes);
    for (size_t n = 0; n < kCount; ++n)
      SetAny(w, kCount > 1 ? i.lists[0][n] : i.operands[0], l, values[n]);
  }
}
template <Space kSpace, typename T, size_t kCount>
void Store(Warp& w, const Instruction& i, uint32_t mask) {
  constexpr int64_t kBytes = sizeof(T) * kCount;
  HONE_LANES(l, mask) {
    const uint64_t address = Address(w, i, i.operands[0], l);
    T values[kCount];
    for (size_t n = 0; n < kCount; ++n)
      values[n] = GetAny<T>(w, kCount > 1 ? i.lists[0][n] : i.operands[1], l);
    uint8_t* const to = At<kSpace>(w, i, address, kBytes, l);
    if constexpr (kSpace == Space::kShared) WriteShared(w, i, address, kBytes, l);
    if constexpr (kSpace == Space::kGlobal) WriteDevice(w, i, address, kBytes);
    std::memcpy(to, values, kBytes);
  }
}
// Others see either before or after: no hazard.
template <Space kSpace, typename T, auto F>
void Atomic(Warp& w, const Instruction& i, uint32_t mask) {
  Row<T> old(w, i.operands[0]);
  const Row<T> operand(w, i.operands[2]);
  HONE_LANES(l, mask) {
    uint8_t* const at = At<kSpace>(w, i, Address(w, i, i.operands[1], l), sizeof(T), l);
    T value;
    std::memcpy(&value, at, sizeof value);
    const T now = F(value, operand[l]);
    std::memcpy(at, &now, sizeof now);
    old.Set(l, value);
  }
}

template <Space kSpace, bool kLoad, typename T>
Operation OfCount(size_t count) {
  if constexpr (kLoad)
    return count == 1   ? &Load<kSpace, T, 1>
           : count == 2 ? &Load<kSpace, T, 2>
                        : &Load<kSpace, T, 4>;
  return count == 1   ? &Store<kSpace, T, 1>
         : count == 2 ? &Store<kSpace, T, 2>
                      : &Store<kSpace, T, 4>;
}
template <Space kSpace, bool kLoad>
Operation OfType(const std::string& type, size_t count) {
  if (type == "f32") return OfCount<kSpace, kLoad, float>(count);
  if (type == "f64") return OfCount<kSpace, kLoad, double>(count);
  if (type == "u8" || type == "b8") return OfCount<kSpace, kLoad, uint8_t>(count);
  if (type == "s8") return OfCount<kSpace, kLoad, int8_t>(count);
  if (type == "u16" || type == "b16") return OfCount<kSpace, kLoad, uint16_t>(count);
  if (type == "u32" || type == "b32") return OfCount<kSpace, kLoad, uint32_t>(count);
  if (type == "s32") return OfCount<kSpace, kLoad, int32_t>(count);
  if (type == "u64" || type == "b64" || type == "s64")
    return OfCount<kSpace, kLoad, uint64_t>(count);
  return nullptr;
}
template <bool kLoad>
Operation OfSpace(const std::string& space, const std::string& type, size_t count) {
  if (space == "global") return OfType<Space::kGlobal, kLoad>(type, count);
  if (space == "shared") return OfType<Space::kShared, kLoad>(type, count);
  if (space == "local") return OfType<Space::kLocal, kLoad>(type, count);
  return space == "param" && kLoad ? OfType<Space::kParameter, kLoad>(type, count) : nullptr;
}

}  // namespace

Operation FindMemory(Instruction& i, const std::vector<std::string>& name) {
  const auto add = [](auto a, auto b) { return a + b; };
  if (name[0] == "atom" && name.size() == 4) {
    const std::string what = name[1] + "." + name[2] + "." + name[3];
    if (what == "shared.add.u32") return &Atomic<Space::kShared, uint32_t, add>;
    if (what == "shared.add.u64") return &Atomic<Space::kShared, uint64_t, add>;
    if (what == "global.add.u64") return &Atomic<Space::kGlobal, uint64_t, add>;
    if (what == "global.or.b32")
      return &Atomic<Space::kGlobal, uint32_t, [](uint32_t a, uint32_t b) { return a | b; }>;
  }
  if (name[0] != "ld" && name[0] != "st") return nullptr;
  const size_t count = i.lists[0].empty() ? 1 : i.lists[0].size();
  if (name.size() != (count > 1 ? 4u : 3u)) return nullptr;
  return name[0] == "ld" ? OfSpace<true>(name[1], name.back(), count)
                         : OfSpace<false>(name[1], name.back(), count);
}

}  // namespace hone::simulated
