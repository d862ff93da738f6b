// Asynchronous copies into shared memory, and the barriers that count their bytes and threads.

#include <algorithm>
#include <cstring>

#include "tests/kernels/simulated/device_memory.h"
#include "tests/kernels/simulated/hazards.h"

namespace hone::simulated {

PhaseBarrier& PhaseBarrierAt(Warp& w, const Instruction& i, const Register& r, int lane) {
  const uint64_t address = Address(w, i, r, lane);
  const auto it = w.block->phase_barriers.find(static_cast<uint32_t>(address));
  if (it == w.block->phase_barriers.end())
    Fail(w, i, "no mbarrier at %llx", static_cast<unsigned long long>(address));
  return it->second;
}

void EndPhase(Block& block, PhaseBarrier& barrier) {
  if (barrier.pending < 0)
    Stop("%s: more than %lld arrivals at an mbarrier", block.grid->kernel->name.c_str(),
         static_cast<long long>(barrier.count));
  if (barrier.pending > 0 || barrier.bytes != 0) return;
  barrier.pending = barrier.count;
  ++barrier.phase;
  barrier.released = barrier.known;
}

void FinishCopies(Warp& w, size_t entries) {
  for (; entries > 0 && !w.copies.empty(); --entries) {
    const Copies entry = std::move(w.copies.front());
    w.copies.pop_front();
    for (const Copies::One& c : entry.copies) {
      const size_t at = c.to - kSharedBase;
      uint8_t* const to = w.block->shared.data() + at;
      if (c.bytes > 0)
        std::memcpy(to, DeviceBytes(c.from, c.bytes, "cp.async"), static_cast<size_t>(c.bytes));
      std::memset(to + c.bytes, 0, static_cast<size_t>(c.size - c.bytes));
      w.block->written[at / 16].when = ++w.block->grid->now;
    }
    if (entry.what == Copies::kArrive) {
      PhaseBarrier& barrier = w.block->phase_barriers[entry.barrier];
      barrier.pending -= std::popcount(entry.mask);
      Learn(barrier.known, w.clocks);
      ++w.clocks[static_cast<size_t>(w.index)];
      EndPhase(*w.block, barrier);
    }
  }
}

void FinishTensorCopy(Block& block) {
  const TensorCopy c = std::move(block.tensor_copies.front());
  block.tensor_copies.pop_front();
  uint8_t* const to = block.shared.data() + (c.to - kSharedBase);
  const TensorMap& map = c.map;
  const auto inside = [&](int d, int64_t at) {
    return at >= 0 && static_cast<uint64_t>(at) < map.sizes[d];
  };
  for (uint32_t row = 0; row < map.rows; ++row)
    for (uint32_t col = 0; col < 64; ++col) {
      const int64_t x = c.from[0] + col, y = c.from[1] + row, z = c.from[2];
      uint16_t element = 0;
      if (inside(0, x) && inside(1, y) && inside(2, z)) {
        const uint64_t address = map.base + 2 * static_cast<uint64_t>(x) +
                                 map.strides[0] * static_cast<uint64_t>(y) +
                                 map.strides[1] * static_cast<uint64_t>(z);
        std::memcpy(&element, DeviceBytes(address, 2, "a tensor copy"), 2);
      }
      // The permutation of 128 bytes: of the parts of 16 bytes by the row of 128 bytes.
      const uint32_t at = 128 * row + 2 * col;
      std::memcpy(to + (at ^ (at >> 7 & 7) << 4), &element, 2);
    }
  PhaseBarrier& barrier = block.phase_barriers[c.barrier];
  barrier.bytes -= 128 * int64_t{map.rows};
  Learn(barrier.known, c.known);
  EndPhase(block, barrier);
}

namespace {

// cp.async [to], [from], size, bytes
void Begin(Warp& w, const Instruction& i, uint32_t mask) {
  const Row<int32_t> sizes(w, i.operands[2]), counts(w, i.operands[3]);
  Copies entry;
  HONE_LANES(l, mask) {
    const uint64_t to = Address(w, i, i.operands[0], l), from = Address(w, i, i.operands[1], l);
    const int size = sizes[l], bytes = counts[l];
    if (bytes < 0 || bytes > size) Fail(w, i, "%d of %d bytes", bytes, size);
    if ((to | from) % static_cast<uint64_t>(size) != 0)
      Fail(w, i, "misaligned: %d bytes from %llx to %llx", size,
           static_cast<unsigned long long>(from), static_cast<unsigned long long>(to));
    uint8_t* const shared = Shared(w, i, to, size);
    if (bytes > 0) {
      DeviceBytes(from, bytes, i.text.c_str());
      ReadDevice(w, i, from, bytes);
    }
    WriteShared(w, i, to, size, l);
    std::memset(shared, 0xff, static_cast<size_t>(size));  // until it is there
    entry.copies.push_back({static_cast<uint32_t>(to), from, bytes, size});
  }
  w.copies.push_back(std::move(entry));
}
void EndGroup(Warp& w, const Instruction&, uint32_t) {
  w.copies.push_back({.what = Copies::kEndOfGroup});
}
// Until at most i.number groups are under way. What is in no group yet is not waited for.
void WaitForGroups(Warp& w, const Instruction& i, uint32_t) {
  int64_t groups = 0;
  size_t entries = w.copies.size();
  while (entries > 0 && !(w.copies[entries - 1].what == Copies::kEndOfGroup && ++groups > i.number))
    --entries;
  FinishCopies(w, entries);
}
void ArriveAfterCopies(Warp& w, const Instruction& i, uint32_t mask) {
  const int first = std::countr_zero(mask);
  HONE_LANES(l, mask) {
    PhaseBarrierAt(w, i, i.operands[0], l);
    if (Address(w, i, i.operands[0], l) != Address(w, i, i.operands[0], first))
      Fail(w, i, "lanes arrive at several barriers");
  }
  w.copies.push_back({.what = Copies::kArrive,
                      .barrier = static_cast<uint32_t>(Address(w, i, i.operands[0], first)),
                      .mask = mask});
}

// [to], [map, {column, row, item}], [barrier]
void BeginTensorCopy(Warp& w, const Instruction& i, uint32_t mask) {
  HONE_LANES(l, mask) {
    TensorCopy c;
    const uint64_t map = Address(w, i, i.operands[1], l), at = map - kParameterWindow;
    if (map % 64 != 0 || at + sizeof(c.map) > w.block->grid->parameters.size())
      Fail(w, i, "no tensor map at %llx", static_cast<unsigned long long>(map));
    std::memcpy(&c.map, w.block->grid->parameters.data() + at, sizeof c.map);
    if (c.map.magic != TensorMap::kMagic)
      Fail(w, i, "no tensor map at %llx", static_cast<unsigned long long>(map));
    for (size_t d = 0; d < 3; ++d) c.from[d] = Row<int32_t>(w, i.lists[0][d])[l];
    c.to = static_cast<uint32_t>(Address(w, i, i.operands[0], l));
    if (c.to % 1024 != 0) Fail(w, i, "a permuted tile at %x, not on 1024 bytes", c.to);
    PhaseBarrierAt(w, i, i.operands[2], l);
    c.barrier = static_cast<uint32_t>(Address(w, i, i.operands[2], l));
    const int64_t bytes = 128 * int64_t{c.map.rows};
    uint8_t* const to = Shared(w, i, c.to, bytes);
    c.known = w.clocks;
    c.known.back() = WriteSharedByCopy(w, i, c.to, bytes);
    std::memset(to, 0xff, static_cast<size_t>(bytes));
    w.block->tensor_copies.push_back(std::move(c));
  }
}

void Initialize(Warp& w, const Instruction& i, uint32_t mask) {
  HONE_LANES(l, mask) {
    const uint64_t address = Address(w, i, i.operands[0], l);
    const int64_t count = Row<int32_t>(w, i.operands[1])[l];
    if (address % 8 != 0 || count <= 0)
      Fail(w, i, "an mbarrier of %lld at %llx", static_cast<long long>(count),
           static_cast<unsigned long long>(address));
    Shared(w, i, address, 8);
    WriteShared(w, i, address, 8, l);
    w.block->phase_barriers[static_cast<uint32_t>(address)] = {.count = count, .pending = count};
  }
}
// arrive _, [barrier]; arrive.expect_tx _, [barrier], bytes
template <bool kExpects>
void Arrive(Warp& w, const Instruction& i, uint32_t mask) {
  HONE_LANES(l, mask) {
    PhaseBarrier& barrier = PhaseBarrierAt(w, i, i.operands[1], l);
    if constexpr (kExpects) barrier.bytes += Row<int32_t>(w, i.operands[2])[l];
    --barrier.pending;
    Learn(barrier.known, w.clocks);
    EndPhase(*w.block, barrier);
  }
  ++w.clocks[static_cast<size_t>(w.index)];
}
void Fence(Warp& w, const Instruction&, uint32_t mask) {
  const uint64_t now = ++w.block->grid->now;
  HONE_LANES(l, mask) w.fenced[l] = now;
}
void Nothing(Warp&, const Instruction&, uint32_t) {}

}  // namespace

Operation FindCopies(Instruction& i, const std::string& name) {
  if (name == "cp.async.cg.shared.global" || name == "cp.async.ca.shared.global") return &Begin;
  if (name == "cp.async.commit_group") return &EndGroup;
  if (name == "cp.async.wait_group") return &WaitForGroups;
  if (name == "cp.async.mbarrier.arrive.noinc.shared::cta.b64") return &ArriveAfterCopies;
  if (name == "cp.async.bulk.tensor.3d.shared::cluster.global.mbarrier::complete_tx::bytes")
    return &BeginTensorCopy;
  if (name == "mbarrier.init.shared::cta.b64") return &Initialize;
  if (name == "mbarrier.arrive.release.cta.shared::cta.b64") return &Arrive<false>;
  if (name == "mbarrier.arrive.expect_tx.release.cta.shared::cta.b64") return &Arrive<true>;
  if (name == "fence.proxy.async.shared::cta") return &Fence;
  // Barriers and other instructions have one order here.
  if (name == "fence.mbarrier_init.release.cluster") return &Nothing;
  if (name != "mbarrier.try_wait.parity.acquire.cta.shared::cta.b64") return nullptr;
  i.kind = Kind::kWaitForPhase;
  return &Nothing;
}

}  // namespace hone::simulated
