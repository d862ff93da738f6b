// What a warp does together: shuffles, votes, matrices, and products of warps and warpgroups.

#include <algorithm>
#include <climits>
#include <cmath>
#include <cstring>

#include "tests/kernels/simulated/hazards.h"

namespace hone::simulated {
namespace {

// d|p, a, b, c, mask: the source lane is `from` of (lane, b), unless that leaves the lane's
// segment.
enum class Shuffle { kUp, kDown, kButterfly, kIndex };

template <Shuffle kHow>
void Exchange(Warp& w, const Instruction& i, uint32_t mask) {
  const size_t a_at = i.operands.size() == 6 ? 2 : 1;  // with or without p
  Row<uint32_t> d(w, i.operands[0]);
  const Row<uint32_t> a(w, i.operands[a_at]), b(w, i.operands[a_at + 1]),
      c(w, i.operands[a_at + 2]);
  uint32_t before[kLanes], valid = 0;
  std::copy(a.slots, a.slots + kLanes, before);
  HONE_LANES(l, mask) {
    const int by = b[l] & 31, clamp = c[l] & 31, segment = c[l] >> 8 & 31;
    const int limit = (l & segment) | (clamp & ~segment);
    int from = (l & segment) | (by & ~segment);
    if (kHow == Shuffle::kUp) from = l - by;
    if (kHow == Shuffle::kDown) from = l + by;
    if (kHow == Shuffle::kButterfly) from = l ^ by;
    const bool inside = kHow == Shuffle::kUp ? from >= limit : from <= limit;
    if (!inside) from = l;
    if ((mask >> from & 1) == 0) Fail(w, i, "a shuffle from lane %d, which takes no part", from);
    d.Set(l, before[from]);
    valid |= uint32_t{inside} << l;
  }
  if (a_at == 2 && i.operands[1].file == File::kPredicate)
    w.SetPredicate(i.operands[1], mask, valid);
}

void Ballot(Warp& w, const Instruction& i, uint32_t mask) {
  Row<uint32_t> d(w, i.operands[0]);
  const uint32_t votes = w.Predicate(i.operands[1]) & mask;
  HONE_LANES(l, mask) d.Set(l, votes);
}
void AnyVote(Warp& w, const Instruction& i, uint32_t mask) {
  w.SetPredicate(i.operands[0], mask, (w.Predicate(i.operands[1]) & mask) != 0 ? kAllLanes : 0);
}
void ReduceMin(Warp& w, const Instruction& i, uint32_t mask) {
  Row<int32_t> d(w, i.operands[0]);
  const Row<int32_t> a(w, i.operands[1]);
  int32_t least = INT_MAX;
  HONE_LANES(l, mask) least = std::min(least, a[l]);
  HONE_LANES(l, mask) d.Set(l, least);
}
void Nothing(Warp&, const Instruction&, uint32_t) {}

// Four matrices of 8 x 8, whose rows the lanes point at.
template <bool kTransposed>
void LoadMatrices(Warp& w, const Instruction& i, uint32_t) {
  uint16_t rows[kLanes][8];
  for (int l = 0; l < kLanes; ++l) {
    const uint64_t address = Address(w, i, i.operands[0], l);
    if (address % 16 != 0)
      Fail(w, i, "misaligned row at %llx", static_cast<unsigned long long>(address));
    std::memcpy(rows[l], Shared(w, i, address, 16), 16);
    ReadShared(w, i, address, 16);
  }
  for (int n = 0; n < 4; ++n)
    for (int l = 0; l < kLanes; ++l) {
      const int row = l / 4, col = 2 * (l % 4);
      const uint32_t low = kTransposed ? rows[8 * n + col][row] : rows[8 * n + row][col];
      const uint32_t high = kTransposed ? rows[8 * n + col + 1][row] : rows[8 * n + row][col + 1];
      w.Words(i.lists[0][static_cast<size_t>(n)].index)[l] = low | high << 16;
    }
}

float FromBf16(uint32_t bits) {
  return std::bit_cast<float>(bits << 16);
}
// The fragment of a left operand of 16 x 16: of a warp's product, and of a warpgroup's from
// registers.
void ReadFragment(Warp& w, const std::vector<Register>& registers, float (&a)[16][16]) {
  for (int h = 0; h < 4; ++h)
    for (int l = 0; l < kLanes; ++l) {
      const uint32_t pair = w.Words(registers[static_cast<size_t>(h)].index)[l];
      float* const at = &a[l / 4 + 8 * (h % 2)][2 * (l % 4) + 8 * (h / 2)];
      at[0] = FromBf16(pair & 0xffff);
      at[1] = FromBf16(pair >> 16);
    }
}
// Row and column of sum n of a lane.
int RowOf(int lane, int n) {
  return lane / 4 + 8 * (n / 2 % 2);
}
int ColOf(int lane, int n) {
  return 8 * (n / 4) + 2 * (lane % 4) + n % 2;
}

// {d}, {a}, {b}, {c}; one fma for each term. PTX does not say in which order.
void Multiply(Warp& w, const Instruction& i, uint32_t) {
  float a[16][16], b[16][8], c[16][8];
  ReadFragment(w, i.lists[1], a);
  for (int l = 0; l < kLanes; ++l) {
    for (int h = 0; h < 2; ++h) {
      const uint32_t pair = w.Words(i.lists[2][static_cast<size_t>(h)].index)[l];
      b[2 * (l % 4) + 8 * h][l / 4] = FromBf16(pair & 0xffff);
      b[2 * (l % 4) + 8 * h + 1][l / 4] = FromBf16(pair >> 16);
    }
    for (int n = 0; n < 4; ++n)
      c[RowOf(l, n)][ColOf(l, n)] = Row<float>(w, i.lists[3][static_cast<size_t>(n)])[l];
  }
  for (int row = 0; row < 16; ++row)
    for (int k = 0; k < 16; ++k)
      for (int col = 0; col < 8; ++col) c[row][col] = std::fma(a[row][k], b[k][col], c[row][col]);
  for (int n = 0; n < 4; ++n)
    for (int l = 0; l < kLanes; ++l)
      Row<float>(w, i.lists[0][static_cast<size_t>(n)]).Set(l, c[RowOf(l, n)][ColOf(l, n)]);
}

// Where 8 elements of an operand of a warpgroup's product lie, from (mn, k) on: along k, or, across
// (what the instruction calls transposed), along mn. PTX: canonical layouts with 128-byte swizzle;
// distances in the descriptor are in units of 16 bytes.
uint64_t PartOf(const Warp& w, const Instruction& i, uint64_t descriptor, bool across, int mn,
                int k) {
  const auto field = [descriptor](int from) { return (descriptor >> from & 0x3fff) << 4; };
  const uint64_t leading = field(16), stride = field(32);
  if (descriptor >> 62 != 1 || (descriptor >> 49 & 7) != 0)
    Fail(w, i, "descriptor %llx: not 128-byte swizzle from its first row on",
         static_cast<unsigned long long>(descriptor));
  const auto m = static_cast<uint64_t>(mn), terms = static_cast<uint64_t>(k);
  const uint64_t address =
      field(0) + (across ? 2 * (m % 64) + m / 64 * leading + terms % 8 * 128 + terms / 8 * stride
                         : m % 8 * 128 + m / 8 * stride + 2 * terms);
  return address ^ (address >> 7 & 7) << 4;
}
// Elements [from, from + rows) of mn, 16 terms of each.
void ReadOperand(Warp& w, const Instruction& i, uint64_t descriptor, bool across, int from,
                 int rows, float (*to)[16]) {
  for (int mn = 0; mn < rows; mn += across ? 8 : 1)
    for (int k = 0; k < 16; k += across ? 1 : 8) {
      const uint64_t address = PartOf(w, i, descriptor, across, from + mn, k);
      uint16_t part[8];
      std::memcpy(part, Shared(w, i, address, 16), 16);
      CheckFenced(w, i, address);
      ReadShared(w, i, address, 16);
      for (int e = 0; e < 8; ++e) (across ? to[mn + e][k] : to[mn][k + e]) = FromBf16(part[e]);
    }
}
uint64_t Uniform(Warp& w, const Instruction& i, const Register& r) {
  const uint64_t* const values = w.Longs(r.index);
  if (std::count(values, values + kLanes, values[0]) != kLanes)
    Fail(w, i, "lanes have other descriptors");
  return values[0];
}

// A warp's 16 rows of {d}, a or {a}, b, add, 1, 1, (a across,) b across. A sum of 16 terms in f64,
// rounded once, so that products of warps have other bits.
void Finish(Warp& w, const Product& p) {
  const Instruction& i = *p.instruction;
  const int cols = static_cast<int>(i.number);
  const auto across = [&](size_t from_end) {
    return w.Words(i.operands[i.operands.size() - from_end].index)[0] != 0;
  };
  static float a[16][16], b[256][16];
  if (i.lists[1].empty()) {
    ReadOperand(w, i, p.a, across(2), 16 * (w.index % 4), 16, a);
  } else {
    ReadFragment(w, i.lists[1], a);
  }
  ReadOperand(w, i, p.b, across(1), 0, cols, b);
  for (int n = 0; n < cols / 2; ++n) {
    Row<float> d(w, i.lists[0][static_cast<size_t>(n)]);
    for (int l = 0; l < kLanes; ++l) {
      const float *const x = a[RowOf(l, n)], *const y = b[ColOf(l, n)];
      double sum = 0;
      for (int k = 0; k < 16; ++k) sum += double{x[k]} * double{y[k]};
      d.Set(l, static_cast<float>(p.add ? double{d[l]} + sum : sum));
    }
  }
}
void BeginProduct(Warp& w, const Instruction& i, uint32_t) {
  size_t next = 0;
  Product p{&i, 0, 0, false, w.product_group};
  if (i.lists[1].empty()) p.a = Uniform(w, i, i.operands[next++]);
  p.b = Uniform(w, i, i.operands[next++]);
  const uint32_t add = w.Predicate(i.operands[next]);
  if (add != 0 && add != kAllLanes) Fail(w, i, "lanes differ in whether they add");
  p.add = add != 0;
  if (!w.block->grid->late) {
    Finish(w, p);
    return;
  }
  w.products.push_back(p);
  // Nobody looks before the end.
  if (!p.add)
    for (const Register& r : i.lists[0])
      std::fill(w.Words(r.index), w.Words(r.index) + kLanes, 0x7fffffff);
}
void EndGroup(Warp& w, const Instruction&, uint32_t) {
  ++w.product_group;
}
void WaitForGroups(Warp& w, const Instruction& i, uint32_t) {
  FinishProducts(w, static_cast<int>(i.number));
}

}  // namespace

void FinishProducts(Warp& w, int keep) {
  while (!w.products.empty() && w.products.front().group < w.product_group - keep) {
    Finish(w, w.products.front());
    w.products.pop_front();
  }
}

Operation FindCollective(Instruction& i, const std::string& name) {
  const auto starts = [&](const char* part) {
    return name.compare(0, std::strlen(part), part) == 0;
  };
  i.kind = Kind::kNamedLanes;
  i.lanes = static_cast<int>(i.operands.size()) - 1;
  if (name == "shfl.sync.up.b32") return &Exchange<Shuffle::kUp>;
  if (name == "shfl.sync.down.b32") return &Exchange<Shuffle::kDown>;
  if (name == "shfl.sync.bfly.b32") return &Exchange<Shuffle::kButterfly>;
  if (name == "shfl.sync.idx.b32") return &Exchange<Shuffle::kIndex>;
  if (name == "vote.sync.ballot.b32") return &Ballot;
  if (name == "vote.sync.any.pred") return &AnyVote;
  if (name == "redux.sync.min.s32") return &ReduceMin;
  if (name == "bar.warp.sync") return &Nothing;

  i.kind = Kind::kBarrier;
  if (name == "bar.sync" && i.operands.size() == 1) return &Nothing;
  i.kind = Kind::kBarrierOr;
  if (name == "bar.red.or.pred" && i.operands.size() == 3) return &Nothing;

  i.kind = Kind::kWholeWarp;
  if (name == "ldmatrix.sync.aligned.m8n8.x4.shared.b16") return &LoadMatrices<false>;
  if (name == "ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16") return &LoadMatrices<true>;
  if (name == "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32") return &Multiply;
  if (name == "wgmma.fence.sync.aligned" || starts("setmaxnreg.")) return &Nothing;
  if (name == "wgmma.commit_group.sync.aligned") return &EndGroup;
  if (name == "wgmma.wait_group.sync.aligned") return &WaitForGroups;
  const char kProduct[] = "wgmma.mma_async.sync.aligned.m64n";
  if (starts(kProduct)) {
    const size_t shape = std::strlen(kProduct), end = name.find("k16.f32.bf16.bf16");
    i.number = std::atoi(name.c_str() + shape);
    if (end != std::string::npos && i.lists[0].size() == static_cast<size_t>(i.number / 2))
      return &BeginProduct;
  }
  i.kind = Kind::kPlain;
  return nullptr;
}

}  // namespace hone::simulated
