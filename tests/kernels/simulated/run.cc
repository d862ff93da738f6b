// Warps in turns. Lanes that part go on as groups, the one behind first, until they meet again.

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "tests/kernels/simulated/hazards.h"

namespace hone::simulated {

void Fail(const Warp& w, const Instruction& i, const char* format, ...) {
  char message[400];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(message, sizeof message, format, arguments);
  va_end(arguments);
  Stop("%s\n  in %s, block %u, warp %d, PTX line %d: %.200s", message,
       w.block->grid->kernel->name.c_str(), w.block->index, w.index, i.line, i.text.c_str());
}

Operation FindOperation(Instruction& i, const std::vector<std::string>& name) {
  std::string whole = name[0];
  for (size_t n = 1; n < name.size(); ++n) whole += "." + name[n];
  if (name[0] == "mov" && !i.lists[0].empty()) {
    std::vector<std::string> list = name;
    list.push_back(i.text.find('{') < i.text.find(',') ? "part" : "join");
    return FindArithmetic(list);
  }
  if (const Operation found = FindMemory(i, name); found != nullptr) return found;
  if (const Operation found = FindCopies(i, whole); found != nullptr) return found;
  if (const Operation found = FindCollective(i, whole); found != nullptr) return found;
  return FindArithmetic(name);
}

namespace {

uint32_t Living(const Warp& w) {
  uint32_t mask = 0;
  for (const Lanes& g : w.groups) mask |= g.mask;
  return mask;
}
void Merge(Warp& w) {
  for (size_t a = 0; a < w.groups.size(); ++a)
    for (size_t b = w.groups.size() - 1; b > a; --b)
      if (w.groups[a].at == w.groups[b].at && !w.groups[a].arrived && !w.groups[b].arrived) {
        w.groups[a].mask |= w.groups[b].mask;
        w.groups.erase(w.groups.begin() + static_cast<int64_t>(b));
      }
}

// Whether all lanes that the instruction names are here.
bool HasNamed(Warp& w, const Instruction& i, uint32_t mask) {
  const uint32_t* const masks = w.Words(i.operands[static_cast<size_t>(i.lanes)].index);
  const uint32_t named = masks[std::countr_zero(mask)];
  HONE_LANES(l, mask) if (masks[l] != named) Fail(w, i, "lanes name other lanes");
  if ((mask & ~named) != 0) Fail(w, i, "lanes %08x, of which its mask names %08x", mask, named);
  if ((named & ~Living(w)) != 0 && i.text.compare(0, 3, "bar") != 0)
    Fail(w, i, "its mask %08x names lanes that are gone", named);
  return mask == (named & Living(w));
}

// Whether the phase of the barrier at which the group has arrived is over.
bool PassBarrier(Warp& w, Lanes& g, const Instruction& i) {
  const bool reduces = i.kind == Kind::kBarrierOr;
  Block& block = *w.block;
  Barrier& barrier = block.barriers[w.Words(i.operands[reduces ? 1 : 0].index)[0]];
  if (!g.arrived) {
    g.arrived = true;
    g.phase = barrier.phase;
    barrier.arrived += std::popcount(g.mask);
    if (reduces && (w.Predicate(i.operands[2]) & g.mask) != 0) barrier.any = true;
    Learn(barrier.known, w.clocks);
    ++w.clocks[static_cast<size_t>(w.index)];
  }
  if (barrier.phase == g.phase && barrier.arrived == block.running) {
    barrier.arrived = 0;
    ++barrier.phase;
    barrier.result = std::exchange(barrier.any, false);
    barrier.released = barrier.known;
  }
  if (barrier.phase == g.phase) return false;
  Learn(w.clocks, barrier.released);
  if (reduces) w.SetPredicate(i.operands[0], g.mask, barrier.result ? kAllLanes : 0);
  g.arrived = false;
  return true;
}

// done, [barrier], parity
bool PassPhase(Warp& w, const Instruction& i, uint32_t mask) {
  const Row<uint32_t> parity(w, i.operands[2]);
  uint32_t done = 0;
  HONE_LANES(l, mask) {
    const PhaseBarrier& barrier = PhaseBarrierAt(w, i, i.operands[1], l);
    if ((barrier.phase & 1) == parity[l]) continue;
    done |= 1u << l;
    Learn(w.clocks, barrier.released);
  }
  if (done != 0) w.SetPredicate(i.operands[0], mask, done);
  return done != 0;
}

// One instruction of a group. False: it has to wait.
bool Step(Warp& w, size_t group) {
  Lanes& g = w.groups[group];
  const Instruction& i = w.block->grid->kernel->code[g.at];
  uint32_t mask = g.mask;
  if (i.guard >= 0) mask &= w.Predicate({File::kPredicate, i.guard, i.guard_negated});
  if (mask == 0) {
    ++g.at;
    if (w.groups.size() > 1) Merge(w);
    return true;
  }
  switch (i.kind) {
    case Kind::kPlain:
      break;
    case Kind::kBranch:
      if (mask == g.mask) {
        g.at = static_cast<uint32_t>(i.target);
      } else {
        g.mask &= ~mask;
        ++g.at;
        w.groups.push_back({static_cast<uint32_t>(i.target), mask});
      }
      Merge(w);
      return true;
    case Kind::kReturn:
      w.block->running -= std::popcount(mask);
      g.mask &= ~mask;
      ++g.at;
      if (g.mask == 0) w.groups.erase(w.groups.begin() + static_cast<int64_t>(group));
      if (w.groups.empty() && !w.products.empty()) Fail(w, i, "ends before its products");
      return true;
    case Kind::kTrap:
      Fail(w, i, "trap");
    case Kind::kWholeWarp:
      if (mask == kAllLanes) break;
      if (i.guard >= 0 || Living(w) != kAllLanes) Fail(w, i, "needs all lanes and has %08x", mask);
      return false;
    case Kind::kNamedLanes:
      if (!HasNamed(w, i, mask)) return false;
      break;
    case Kind::kBarrier:
    case Kind::kBarrierOr:
      if (mask != g.mask) Fail(w, i, "a barrier under a condition");
      if (!PassBarrier(w, g, i)) return false;
      break;
    case Kind::kWaitForPhase:
      if (!PassPhase(w, i, mask)) return false;
      break;
  }
  i.operation(w, i, mask);
  ++g.at;
  if (w.groups.size() > 1) Merge(w);
  return true;
}

// Up to `count` instructions; whether there was one that could be done.
bool Advance(Warp& w, int count) {
  const std::vector<Instruction>& code = w.block->grid->kernel->code;
  bool any = false;
  while (count > 0 && !w.groups.empty()) {
    if (w.groups.size() == 1) {
      // What needs nothing, without ceremony.
      Lanes& g = w.groups[0];
      for (; count > 0 && code[g.at].kind == Kind::kPlain; --count, ++g.at, any = true) {
        const Instruction& i = code[g.at];
        uint32_t mask = g.mask;
        if (i.guard >= 0) mask &= w.Predicate({File::kPredicate, i.guard, i.guard_negated});
        if (mask != 0) i.operation(w, i, mask);
      }
      if (count == 0) return true;
    }
    std::vector<size_t> order(w.groups.size());
    for (size_t n = 0; n < order.size(); ++n) order[n] = n;
    std::sort(order.begin(), order.end(),
              [&](size_t a, size_t b) { return w.groups[a].at < w.groups[b].at; });
    if (std::none_of(order.begin(), order.end(), [&](size_t n) { return Step(w, n); })) return any;
    any = true;
    --count;
  }
  return any;
}

uint64_t ValueOf(const Initial& r, const Grid& grid, unsigned block, unsigned thread) {
  const auto part = [](unsigned n, const Extent& of, int d) {
    return d == 0 ? n % of.x : d == 1 ? n / of.x % of.y : n / of.x / of.y;
  };
  const auto size = [](const Extent& of, int d) { return d == 0 ? of.x : d == 1 ? of.y : of.z; };
  if (r.source == Initial::kNumber) return r.number;
  if (r.source < Initial::kNtid) return part(thread, grid.threads, r.source - Initial::kTid);
  if (r.source < Initial::kCtaid) return size(grid.threads, r.source - Initial::kNtid);
  if (r.source < Initial::kNctaid) return part(block, grid.blocks, r.source - Initial::kCtaid);
  if (r.source < Initial::kLane) return size(grid.blocks, r.source - Initial::kNctaid);
  if (r.source == Initial::kLane) return thread % kLanes;
  return kSharedBase +
         static_cast<uint64_t>((grid.kernel->static_shared_bytes + 1023) / 1024 * 1024);
}

std::unique_ptr<Block> MakeBlock(Grid& grid, unsigned index) {
  const Kernel& k = *grid.kernel;
  auto block = std::make_unique<Block>();
  block->grid = &grid;
  block->index = index;
  const int64_t dynamic = (k.static_shared_bytes + 1023) / 1024 * 1024;
  block->shared.assign(
      static_cast<size_t>(grid.dynamic_shared_bytes > 0 ? dynamic + grid.dynamic_shared_bytes
                                                        : k.static_shared_bytes),
      0xff);
  const auto threads = static_cast<unsigned>(grid.threads.Count());
  block->running = threads;
  for (unsigned first = 0; first < threads; first += kLanes) {
    auto w = std::make_unique<Warp>();
    w->block = block.get();
    w->index = static_cast<int>(first / kLanes);
    w->groups = {{0, threads - first >= kLanes ? kAllLanes : (1u << (threads - first)) - 1}};
    // Not numbers until they are set.
    w->words.assign(kLanes * static_cast<size_t>(k.words), 0x7fc0dead);
    w->longs.assign(kLanes * static_cast<size_t>(k.longs), 0x7ff8deadbeefdead);
    w->predicates.assign(static_cast<size_t>(k.predicates), 0xdeadbeef);
    w->local.assign(kLanes * static_cast<size_t>(k.local_bytes), 0xff);
    for (const Initial& r : k.initial) {
      const bool same = r.source < Initial::kTid || r.source > Initial::kLane ||
                        (r.source >= Initial::kNtid && r.source < Initial::kLane);
      uint64_t value = 0;
      for (int l = 0; l < kLanes; ++l) {
        if (l == 0 || !same) value = ValueOf(r, grid, index, first + static_cast<unsigned>(l));
        if (r.to.file == File::kWord) w->Words(r.to.index)[l] = static_cast<uint32_t>(value);
        if (r.to.file == File::kLong) w->Longs(r.to.index)[l] = value;
      }
      if (r.to.file == File::kPredicate)
        w->predicates[static_cast<size_t>(r.to.index)] = value != 0 ? kAllLanes : 0;
    }
    block->warps.push_back(std::move(w));
  }
  StartBlock(*block);
  return block;
}

// Some of what is under way comes in, in an order of its own.
bool ReceiveSome(Block& b, std::mt19937& random) {
  bool any = false;
  auto& copies = b.tensor_copies;
  if (!copies.empty() && random() % 2 == 0) {
    std::swap(copies[0], copies[random() % copies.size()]);
    FinishTensorCopy(b);
    any = true;
  }
  for (const auto& w : b.warps)
    if (!w->copies.empty() && random() % (b.grid->late ? 16 : 2) == 0) {
      FinishCopies(*w, 1);
      any = true;
    }
  return any;
}

[[noreturn]] void Stuck(const Grid& grid, const std::vector<std::unique_ptr<Block>>& running) {
  std::string where;
  for (const auto& b : running)
    for (const auto& w : b->warps)
      for (const Lanes& g : w->groups) {
        const Instruction& i = grid.kernel->code[g.at];
        char line[300];
        std::snprintf(line, sizeof line, "\n  block %u, warp %d, lanes %08x, PTX line %d: %.150s",
                      b->index, w->index, g.mask, i.line, i.text.c_str());
        if (where.size() < 6000) where += line;
      }
  Stop("%s is stuck:%s", grid.kernel->name.c_str(), where.c_str());
}

}  // namespace

void Run(Grid grid) {
  static uint32_t launches = 0;
  static uint64_t seed = [] {
    const char* const set = std::getenv("HONE_SIMULATION_SEED");
    return set == nullptr ? 1 : std::strtoull(set, nullptr, 10);
  }();
  launches = launches % 0xffff + 1;
  grid.number = launches;
  grid.random.seed(static_cast<uint32_t>(seed * 2654435761u + launches));
  std::mt19937& random = grid.random;
  grid.late = random() % 2 == 0;
  const size_t side_by_side = 1 + random() % 3;
  const unsigned longest = 2u << random() % 9;

  std::vector<std::unique_ptr<Block>> running;
  for (uint64_t next = 0; next < grid.blocks.Count() || !running.empty();) {
    while (running.size() < side_by_side && next < grid.blocks.Count())
      running.push_back(MakeBlock(grid, static_cast<unsigned>(next++)));
    bool any = false;
    for (const auto& b : running) {
      const size_t first = random() % b->warps.size();
      for (size_t n = 0; n < b->warps.size(); ++n)
        if (random() % 4 != 0)
          any |= Advance(*b->warps[(first + n) % b->warps.size()],
                         1 + static_cast<int>(random() % longest));
      any |= ReceiveSome(*b, random);
    }
    if (!any) {  // all were passed over, or all wait
      for (const auto& b : running)
        for (const auto& w : b->warps) any |= Advance(*w, 1);
      for (const auto& b : running) {
        if (any) break;
        if (!b->tensor_copies.empty()) {
          FinishTensorCopy(*b);
          any = true;
        }
        for (const auto& w : b->warps)
          if (!w->copies.empty()) {
            FinishCopies(*w, 1);
            any = true;
          }
      }
    }
    std::erase_if(running, [&](const std::unique_ptr<Block>& b) {
      if (b->running > 0) return false;
      if (!b->tensor_copies.empty())
        Stop("%s: block %u ends before its tensor copies", grid.kernel->name.c_str(), b->index);
      any = true;
      return true;
    });
    if (!any) Stuck(grid, running);
  }
}

}  // namespace hone::simulated
