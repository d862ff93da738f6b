#pragma once

// Replaces kernels/cuda/hopper.cuh: what its instructions do according to the PTX specification. A
// copy arrives at once, as early as it may; a product is done at once or no earlier than somebody
// waits for it, by turns (block.h). So a product of what is not there yet, a stage that is filled
// too early, and sums that are read too early, show.

#include <cstring>
#include <vector>

#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/tile.cuh"

#define HONE_HOPPER 1

namespace hone::kernels::cuda {

struct TensorMap {
  const uint16_t* base;
  int64_t sizes[3], strides[2];  // elements
  int tile_rows;
};

inline Error MakeTensorMap(TensorMap* map, const void* base, int64_t cols, int64_t rows,
                           int64_t items, int64_t ld, int64_t stride, int tile_rows) {
  if (reinterpret_cast<uintptr_t>(base) % 16 != 0 || ld % 8 != 0 || (items > 1 && stride % 8 != 0))
    return "tensor map: not on 16 bytes";
  if (tile_rows < 1 || tile_rows > 256 || cols < 1 || rows < 1 || items < 1)
    return "tensor map: a size out of range";
  *map = {static_cast<const uint16_t*>(base), {cols, rows, items}, {ld, stride}, tile_rows};
  return nullptr;
}

namespace emulation {

// What an mbarrier's 64 bits stand for.
struct BarrierBits {
  uint16_t expected, pending;
  uint32_t phase : 1;
  int32_t bytes : 31;
};
inline BarrierBits& Bits(uint64_t* barrier) {
  static_assert(sizeof(BarrierBits) == 8);
  return *reinterpret_cast<BarrierBits*>(barrier);
}
// Others go on before the caller does: nothing that it does from here on is part of the phase.
inline void EndPhase(BarrierBits& b, const hone_emulation::Place& at) {
  if (b.pending != 0 || b.bytes != 0) return;
  b.phase ^= 1;
  b.pending = b.expected;
  hone_emulation::Wait(
      "its turn", at, [](const void*) { return true; }, nullptr);
}

// Where the byte at `offset` of shared memory lies in the 128-byte permutation: bits 4 to 6 of an
// address are combined with bits 7 to 9.
inline uint64_t Permuted(uint64_t offset) {
  return offset ^ (offset >> 3 & 0x70);
}
inline char* Shared(uint64_t offset, const hone_emulation::Place& at) {
  if (offset >= hone_emulation::DynamicBytes())
    hone_emulation::Fail("an operand behind the end of shared memory", at);
  return static_cast<char*>(hone_emulation::DynamicMemory()) + offset;
}
inline uint64_t OffsetOf(const void* p) {
  return static_cast<uint64_t>(static_cast<const char*>(p) -
                               static_cast<const char*>(hone_emulation::DynamicMemory()));
}

struct GroupProduct {
  float* d;  // [n / 8][4]
  int n;
  uint64_t a, b;
  Lie lie_a, lie_b;
  hone_emulation::Place at;
  bool add;
  bool registers = false;  // a is not described, but held by the lanes of a row:
  uint32_t fragments[4][4] = {};
};
struct GroupProducts {
  std::vector<std::vector<GroupProduct>> groups{1};
};
inline GroupProducts& MyProducts() {
  static std::vector<GroupProducts> all(1024);
  return all[hone_emulation::Rank()];
}

// Row or column i, term k of the operand that a descriptor describes: in units of 128 bytes by 8,
// along k or across it.
inline float Element(uint64_t descriptor, Lie lie, int i, int k, const hone_emulation::Place& at) {
  const auto bytes = [=](int bit) { return (descriptor >> bit & 0x3fff) << 4; };
  if (descriptor >> 62 != 1) hone_emulation::Fail("wgmma: only the permutation of 128 bytes", at);
  uint64_t offset = bytes(0);
  if (lie == Lie::kAlongK)
    offset += static_cast<uint64_t>(i / 8) * bytes(32) + static_cast<uint64_t>(i % 8 * 128 + 2 * k);
  else
    offset += static_cast<uint64_t>(i / 64) * bytes(16) + static_cast<uint64_t>(k / 8) * bytes(32) +
              static_cast<uint64_t>(k % 8 * 128 + i % 64 * 2);
  uint16_t bits;
  std::memcpy(&bits, Shared(Permuted(offset), at), 2);
  return std::bit_cast<float>(uint32_t{bits} << 16);
}
inline void Run(const GroupProduct& p) {
  const int thread = static_cast<int>(hone_emulation::Rank() % 128);
  const int g = thread % 32 / 4, t = thread % 4, top = thread / 32 * 16;
  float a[2][16], b[16];
  for (int h = 0; h < 2; ++h)
    for (int k = 0; k < 16; ++k)
      a[h][k] = p.registers ? Half(p.fragments[k % 8 / 2][h + k / 8 * 2], k % 2)
                            : Element(p.a, p.lie_a, top + g + 8 * h, k, p.at);
  for (int column = 2 * t; column < p.n; column += column % 2 == 0 ? 1 : 7) {
    for (int k = 0; k < 16; ++k) b[k] = Element(p.b, p.lie_b, column, k, p.at);
    for (int h = 0; h < 2; ++h) {
      float& d = p.d[column / 8 * 4 + 2 * h + column % 2];
      double sum = p.add ? d : 0.0;
      for (int k = 0; k < 16; ++k) sum += static_cast<double>(a[h][k]) * b[k];
      d = static_cast<float>(sum);
    }
  }
}

inline void Begin(const GroupProduct& p) {
  if (hone_emulation::Early()) {
    Run(p);
  } else {
    MyProducts().groups.back().push_back(p);
  }
}

}  // namespace emulation

inline void InitBarrier(uint64_t* barrier, uint32_t arrivals) {
  const auto n = static_cast<uint16_t>(arrivals);
  emulation::Bits(barrier) = {n, n, 0, 0};
}
inline void PublishBarriers() {}
inline void Arrive(uint64_t* barrier,
                   const hone_emulation::Place& at = hone_emulation::Place::Here()) {
  emulation::BarrierBits& b = emulation::Bits(barrier);
  if (b.pending == 0) hone_emulation::Fail("mbarrier: more arrivals than expected", at);
  --b.pending;
  emulation::EndPhase(b, at);
}
inline void ArriveExpecting(uint64_t* barrier, uint32_t bytes,
                            const hone_emulation::Place& at = hone_emulation::Place::Here()) {
  emulation::Bits(barrier).bytes += static_cast<int32_t>(bytes);
  Arrive(barrier, at);
}
inline void WaitPhase(uint64_t* barrier, uint32_t parity,
                      const hone_emulation::Place& at = hone_emulation::Place::Here()) {
  hone_emulation::WaitUntil("an mbarrier", at,
                            [=] { return emulation::Bits(barrier).phase != (parity & 1); });
}
// At once, as early as it may.
inline void ArriveAfterCopies(uint64_t* barrier,
                              const hone_emulation::Place& at = hone_emulation::Place::Here()) {
  CommitCopies();
  WaitCopies<0>();
  Arrive(barrier, at);
}

inline void LoadTensor(void* shared, const TensorMap* map, int col, int row, int item,
                       uint64_t* barrier,
                       const hone_emulation::Place& at = hone_emulation::Place::Here()) {
  const uint64_t to = emulation::OffsetOf(shared);
  if (to % 1024 != 0) hone_emulation::Fail("a tensor tile that is not on 1024 bytes", at);
  for (int i = 0; i < map->tile_rows; ++i)
    for (int j = 0; j < 64; ++j) {
      const int64_t r = int64_t{row} + i, c = int64_t{col} + j;
      const bool inside = r >= 0 && r < map->sizes[1] && c >= 0 && c < map->sizes[0] && item >= 0 &&
                          item < map->sizes[2];
      const uint16_t x =
          inside ? map->base[item * map->strides[1] + r * map->strides[0] + c] : uint16_t{0};
      std::memcpy(
          emulation::Shared(emulation::Permuted(to + static_cast<uint64_t>(128 * i + 2 * j)), at),
          &x, 2);
    }
  emulation::BarrierBits& b = emulation::Bits(barrier);
  b.bytes -= 128 * map->tile_rows;
  emulation::EndPhase(b, at);
}

inline void PublishWrites() {}

template <Lie kLie>
uint64_t Operand(const void* tiles, int k) {
  const uint64_t address =
      emulation::OffsetOf(tiles) + static_cast<uint64_t>(kLie == Lie::kAlongK ? 2 * k : 128 * k);
  const uint64_t apart = kLie == Lie::kAlongK ? 1 : 8192 >> 4;
  return (address & 0x3ffff) >> 4 | apart << 16 | uint64_t{1024 >> 4} << 32 | uint64_t{1} << 62;
}
template <Lie kLie>
uint64_t FirstOperand(const void* tiles) {
  return Operand<kLie>(tiles, 0);
}
inline uint64_t Further(uint64_t operand, int bytes) {
  return operand + static_cast<uint64_t>(bytes >> 4);
}

inline float Exp2(float x) {
  const float y = exp2f(x);
  return y < 0x1p-126f ? 0.0f : y;
}

template <int kCount>
void KeepRegisters() {}
template <int kCount>
void TakeRegisters() {}

template <int kBlocks>
void Settle(float (&)[1][kBlocks][4]) {}

inline void OpenProducts() {}
inline void CommitProducts() {
  emulation::MyProducts().groups.emplace_back();
}
// The lanes of a warp come and go together.
template <int kPending>
void WaitProducts(const hone_emulation::Place& at = hone_emulation::Place::Here()) {
  hone_emulation::Exchange(0xffffffff, 0, "wgmma.wait_group", at);
  auto& groups = emulation::MyProducts().groups;
  while (groups.size() > kPending + 1) {
    for (const emulation::GroupProduct& p : groups.front()) emulation::Run(p);
    groups.erase(groups.begin());
  }
  hone_emulation::Exchange(0xffffffff, 0, "wgmma.wait_group", at);
}
template <Lie kA, Lie kB, int kBlocks>
void MultiplyGroup(float (&d)[1][kBlocks][4], uint64_t a, uint64_t b, bool add = true,
                   const hone_emulation::Place& at = hone_emulation::Place::Here()) {
  emulation::Begin({&d[0][0][0], 8 * kBlocks, a, b, kA, kB, at, add});
}
template <Lie kB, int kBlocks>
void MultiplyGroup(float (&d)[1][kBlocks][4], const uint32_t (&a)[4], uint64_t b, bool add = true,
                   const hone_emulation::Place& at = hone_emulation::Place::Here()) {
  struct Fragments {
    uint32_t a[4];
  };
  const emulation::Lanes<Fragments> lanes =
      emulation::ExchangeAll(Fragments{{a[0], a[1], a[2], a[3]}}, "wgmma", at);
  emulation::GroupProduct p{&d[0][0][0], 8 * kBlocks, 0, b, Lie::kAlongK, kB, at, add, true};
  for (unsigned t = 0; t < 4; ++t)
    std::memcpy(p.fragments[t], lanes.of[hone_emulation::Rank() % 32 / 4 * 4 + t].a, sizeof(a));
  emulation::Begin(p);
}

}  // namespace hone::kernels::cuda
