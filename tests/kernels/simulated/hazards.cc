#include "tests/kernels/simulated/hazards.h"

#include <algorithm>

#include "tests/kernels/simulated/device_memory.h"

namespace hone::simulated {
namespace {

constexpr int kClockBits = 24;

int64_t Agents(const Block& b) {
  return static_cast<int64_t>(b.warps.size()) + 1;
}
int CopyAgent(const Block& b) {
  return static_cast<int>(b.warps.size());
}
// Pieces of 2 bytes, the smallest accesses.
int64_t PieceAt(uint64_t address) {
  return static_cast<int64_t>(address - kSharedBase) / 2;
}
uint32_t Mark(int agent, uint32_t when) {
  return static_cast<uint32_t>(agent) << kClockBits | when;
}
uint32_t* Readers(Block& b, int agent) {
  return b.readers.data() + static_cast<size_t>(agent) * (b.shared.size() / 2 + 1);
}

[[noreturn]] void Race(const Warp& w, const Instruction& i, int64_t piece, const char* what,
                       int agent) {
  Fail(w, i, "race at byte %lld of shared memory: nothing orders this after the %s by %s %d",
       static_cast<long long>(2 * piece), what,
       agent == CopyAgent(*w.block) ? "tensor copies, agent" : "warp", agent);
}
void CheckWriter(const Warp& w, const Instruction& i, int64_t piece, int self) {
  const uint32_t writer = w.block->writers[static_cast<size_t>(piece)];
  const int agent = static_cast<int>(writer >> kClockBits);
  const uint32_t when = writer & ((1u << kClockBits) - 1);
  if (when > w.clocks[static_cast<size_t>(agent)] && agent != self)
    Race(w, i, piece, "write", agent);
}
// `self`: whose earlier writes need no order; -1: nobody's.
void Write(Warp& w, const Instruction& i, uint64_t address, int64_t bytes, int self,
           uint32_t mark) {
  Block& b = *w.block;
  const int64_t begin = PieceAt(address), end = begin + std::max<int64_t>(1, bytes / 2);
  for (int64_t p = begin; p < end; ++p) CheckWriter(w, i, p, self);
  for (int agent = 0; agent < Agents(b); ++agent) {
    if (agent == w.index) continue;
    const uint32_t *const read = Readers(b, agent), known = w.clocks[static_cast<size_t>(agent)];
    for (int64_t p = begin; p < end; ++p)
      if (read[p] > known) Race(w, i, p, "read", agent);
  }
  std::fill(b.writers.begin() + begin, b.writers.begin() + end, mark);
}

}  // namespace

void Learn(Clocks& to, const Clocks& from) {
  to.resize(std::max(to.size(), from.size()));
  for (size_t n = 0; n < from.size(); ++n) to[n] = std::max(to[n], from[n]);
}

void StartBlock(Block& b) {
  const size_t pieces = b.shared.size() / 2 + 1;
  b.written.assign(b.shared.size() / 16 + 1, {});
  b.writers.assign(pieces, 0);
  b.readers.assign(pieces * static_cast<size_t>(Agents(b)), 0);
  for (const auto& w : b.warps) {
    w->clocks.assign(static_cast<size_t>(Agents(b)), 0);
    w->clocks[static_cast<size_t>(w->index)] = 1;
  }
}

void ReadShared(Warp& w, const Instruction& i, uint64_t address, int64_t bytes) {
  const int64_t begin = PieceAt(address), end = begin + std::max<int64_t>(1, bytes / 2);
  const uint32_t* const writers = w.block->writers.data();
  for (int64_t p = begin; p < end; ++p)
    if (p == begin || writers[p] != writers[p - 1]) CheckWriter(w, i, p, w.index);
  uint32_t* const read = Readers(*w.block, w.index);
  std::fill(read + begin, read + end, w.clocks[static_cast<size_t>(w.index)]);
}

void WriteShared(Warp& w, const Instruction& i, uint64_t address, int64_t bytes, int lane) {
  Write(w, i, address, bytes, w.index, Mark(w.index, w.clocks[static_cast<size_t>(w.index)]));
  const uint64_t first = (address - kSharedBase) / 16,
                 last = (address - kSharedBase + static_cast<uint64_t>(bytes) - 1) / 16;
  for (uint64_t at = first; at <= last; ++at)
    w.block->written[at] = {++w.block->grid->now, w.index * kLanes + lane};
}

uint32_t WriteSharedByCopy(Warp& w, const Instruction& i, uint64_t address, int64_t bytes) {
  const uint32_t when = ++w.block->tensor_copies_begun;
  Write(w, i, address, bytes, -1, Mark(CopyAgent(*w.block), when));
  const auto first = w.block->written.begin() + static_cast<int64_t>(address - kSharedBase) / 16;
  std::fill(first, first + bytes / 16, Block::Written{});
  return when;
}

void CheckFenced(const Warp& w, const Instruction& i, uint64_t address) {
  const Block::Written& written = w.block->written[(address - kSharedBase) / 16];
  if (written.when == 0) return;
  // Either who wrote has fenced since, or who reads has, in all lanes.
  const uint64_t* const by = w.block->warps[static_cast<size_t>(written.thread / kLanes)]->fenced;
  if (by[written.thread % kLanes] > written.when) return;
  if (*std::min_element(w.fenced, w.fenced + kLanes) > written.when) return;
  Fail(w, i,
       "products read byte %llu of shared memory, which thread %d wrote and nobody fenced for them",
       static_cast<unsigned long long>(address - kSharedBase), written.thread);
}

// A mark of device memory: the launch, whether by several blocks, the block.
void ReadDevice(const Warp& w, const Instruction& i, uint64_t address, int64_t bytes) {
  const uint32_t mark = w.block->grid->number << 16 | (w.block->index & 0x7fff);
  const Marks marks = MarksOf(address);
  for (int64_t p = 0; p < (bytes + 1) / 2; ++p) {
    if (marks.writer[p] >> 16 == mark >> 16 && marks.writer[p] != mark)
      Fail(w, i, "reads %llx, which block %u writes in the same launch",
           static_cast<unsigned long long>(address), marks.writer[p] & 0x7fff);
    uint32_t& reader = marks.reader[p];
    if (reader >> 16 != mark >> 16) {
      reader = mark;
    } else if (reader != mark) {
      reader |= 0x8000;
    }
  }
}
void WriteDevice(const Warp& w, const Instruction& i, uint64_t address, int64_t bytes) {
  const uint32_t mark = w.block->grid->number << 16 | (w.block->index & 0x7fff);
  const Marks marks = MarksOf(address);
  for (int64_t p = 0; p < (bytes + 1) / 2; ++p) {
    for (const uint32_t other : {marks.writer[p], marks.reader[p]})
      if (other >> 16 == mark >> 16 && other != mark)
        Fail(w, i, "writes %llx, which block %u %s in the same launch",
             static_cast<unsigned long long>(address), other & 0x7fff,
             other == marks.writer[p] ? "writes" : "reads");
    marks.writer[p] = mark;
  }
}

}  // namespace hone::simulated
