#pragma once

// What runs: warps of blocks of a grid, with their registers and shared memory. One launch at a
// time, by one thread. Device memory is device_memory.h's.

#include <bit>
#include <deque>
#include <map>
#include <memory>
#include <random>
#include <vector>

#include "tests/kernels/simulated/program.h"

namespace hone::simulated {

inline constexpr int kLanes = 32;
inline constexpr uint32_t kAllLanes = ~uint32_t{0};

struct Extent {
  unsigned x = 1, y = 1, z = 1;
  uint64_t Count() const { return uint64_t{x} * y * z; }
};

struct Grid {
  Kernel* kernel = nullptr;
  Extent blocks, threads;
  int64_t dynamic_shared_bytes = 0;
  std::vector<uint8_t> parameters;

  uint32_t number = 0;  // of the launch, in the marks of hazards.h
  std::mt19937 random;
  bool late = false;  // copies and products take place as late as they may
  uint64_t now = 1;   // counts events that have an order
};

// Which events of each agent a warp, or who waits at a barrier, knows to be over: vector clocks.
// Agents: the warps, then the tensor copies.
using Clocks = std::vector<uint32_t>;
void Learn(Clocks& to, const Clocks& from);

struct Block;

// Lanes that are at the same instruction.
struct Lanes {
  uint32_t at = 0, mask = 0;
  bool arrived = false;  // at the barrier where they are, in this phase of it
  uint64_t phase = 0;
};

// What cp.async began, in order.
struct Copies {
  enum { kCopies, kEndOfGroup, kArrive } what = kCopies;
  struct One {
    uint32_t to;
    uint64_t from;
    int bytes, size;  // what comes, and what is written: zeros behind
  };
  std::vector<One> copies;
  uint32_t barrier = 0, mask = 0;  // kArrive
};

struct Product {
  const Instruction* instruction;
  uint64_t a, b;  // descriptors
  bool add;
  int group;
};

struct Warp {
  Block* block = nullptr;
  int index = 0;
  std::vector<Lanes> groups;  // none: over
  std::vector<uint32_t> words, predicates;
  std::vector<uint64_t> longs;
  std::vector<uint8_t> local;  // lane by lane
  std::deque<Copies> copies;
  std::deque<Product> products;
  int product_group = 0;
  uint64_t fenced[kLanes] = {};  // when a lane last did fence.proxy.async
  Clocks clocks;

  uint32_t* Words(int i) { return words.data() + kLanes * i; }
  uint64_t* Longs(int i) { return longs.data() + kLanes * i; }
  uint32_t Predicate(const Register& r) const {
    return r.negated ? ~predicates[static_cast<size_t>(r.index)]
                     : predicates[static_cast<size_t>(r.index)];
  }
  void SetPredicate(const Register& r, uint32_t mask, uint32_t value) {
    uint32_t& p = predicates[static_cast<size_t>(r.index)];
    p = (p & ~mask) | (value & mask);
  }
};

// bar.sync
struct Barrier {
  int64_t arrived = 0;
  uint64_t phase = 0;
  bool any = false, result = false;  // of bar.red.or
  Clocks known, released;
};
// mbarrier
struct PhaseBarrier {
  int64_t count = 0, pending = 0, bytes = 0;
  uint64_t phase = 0;
  Clocks known, released;
};

struct TensorMap {
  static constexpr uint64_t kMagic = 0x7e450a9b11a;
  uint64_t magic, base, sizes[3], strides[2];  // strides in bytes
  uint32_t rows;                               // of a tile of 64 columns
};
struct TensorCopy {
  TensorMap map;
  uint32_t to, barrier;
  int64_t from[3];
  Clocks known;
};

struct Block {
  Grid* grid = nullptr;
  unsigned index = 0;
  std::vector<uint8_t> shared;
  std::vector<std::unique_ptr<Warp>> warps;
  int64_t running = 0;  // threads
  Barrier barriers[16];
  std::map<uint32_t, PhaseBarrier> phase_barriers;  // by address
  std::deque<TensorCopy> tensor_copies;
  uint32_t tensor_copies_begun = 0;

  // hazards.h. By 16 bytes: which thread wrote them last as seen by ordinary loads, and when.
  struct Written {
    uint64_t when = 0;  // 0: by a tensor copy, or not yet
    int thread = -1;
  };
  std::vector<Written> written;
  // By 2 bytes: who wrote last (agent << 24 | its clock), and per agent when it read last.
  std::vector<uint32_t> writers, readers;
};

// The elements of a register.
template <typename T>
struct Row {
  using Slot = std::conditional_t<sizeof(T) == 8, uint64_t, uint32_t>;
  Slot* slots;

  Row(Warp& w, const Register& r) {
    if ((r.file == File::kLong) != (sizeof(T) == 8) || r.file == File::kPredicate)
      Stop("a register of another size than its instruction's");
    if constexpr (sizeof(T) == 8) {
      slots = w.Longs(r.index);
    } else {
      slots = w.Words(r.index);
    }
  }
  T operator[](int lane) const {
    if constexpr (sizeof(T) == sizeof(Slot)) {
      return std::bit_cast<T>(slots[lane]);
    } else {
      return static_cast<T>(slots[lane]);
    }
  }
  void Set(int lane, T value) {
    if constexpr (sizeof(T) == sizeof(Slot)) {
      slots[lane] = std::bit_cast<Slot>(value);
    } else {
      slots[lane] = static_cast<std::make_unsigned_t<T>>(value);
    }
  }
};

// for (int lane of mask) ...
#define HONE_LANES(lane, mask)              \
  for (int lane = 0; lane < kLanes; ++lane) \
    if ((mask) >> lane & 1)

// The address that a lane gives.
inline uint64_t Address(Warp& w, const Instruction& i, const Register& r, int lane) {
  return r.file == File::kLong ? w.Longs(r.index)[lane] + static_cast<uint64_t>(i.offset)
                               : w.Words(r.index)[lane] + static_cast<uint32_t>(i.offset);
}
// Shared memory at an address, or the end of the process.
uint8_t* Shared(Warp& w, const Instruction& i, uint64_t address, int64_t bytes);
// The barrier at a lane's address.
PhaseBarrier& PhaseBarrierAt(Warp& w, const Instruction& i, const Register& r, int lane);
// Ends its phase if nothing is missing any more.
void EndPhase(Block& block, PhaseBarrier& barrier);
// The first `entries` of what a warp has begun to copy.
void FinishCopies(Warp& w, size_t entries);
// The first of what the block has begun to copy.
void FinishTensorCopy(Block& block);
// Until `keep` groups are under way.
void FinishProducts(Warp& w, int keep);

// Ends the process with the place of an instruction.
[[noreturn]] void Fail(const Warp& w, const Instruction& i, const char* format, ...)
    __attribute__((format(printf, 3, 4)));

// Instructions by family; null: none of these.
Operation FindArithmetic(const std::vector<std::string>& name);
Operation FindMemory(Instruction& i, const std::vector<std::string>& name);
Operation FindCopies(Instruction& i, const std::string& name);
Operation FindCollective(Instruction& i, const std::string& name);

// Runs a grid to its end. Blocks run side by side, up to three; warps by chance, from a seed that
// HONE_SIMULATION_SEED sets.
void Run(Grid grid);

}  // namespace hone::simulated
