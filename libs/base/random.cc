#include "libs/base/random.h"

#include <sys/random.h>

#include <cmath>

#include "absl/strings/escaping.h"
#include "libs/base/check.h"

namespace hone {
namespace {
__extension__ using Uint128 = unsigned __int128;  // Not ISO C++, but of both our compilers.
}  // namespace

PhiloxKey DeriveKey(PhiloxKey key, absl::string_view name) {
  // The length first, so that no name is another one with padding.
  key = DeriveKey(key, name.size(), 0x6e616d65);
  for (size_t at = 0; at < name.size(); at += 16) {
    uint64_t words[2] = {0, 0};
    for (size_t i = 0; i < 16 && at + i < name.size(); ++i)
      words[i / 8] |= uint64_t{static_cast<unsigned char>(name[at + i])} << (8 * (i % 8));
    key = DeriveKey(key, words[0], words[1]);
  }
  return key;
}

uint32_t RandomStream::Next32() {
  const uint64_t index = position_ / 4;
  if (index != block_index_) {
    block_ =
        Philox4x32(key_, {static_cast<uint32_t>(index), static_cast<uint32_t>(index >> 32), 0, 0});
    block_index_ = index;
  }
  return block_[position_++ % 4];
}

uint64_t RandomStream::Next64() {
  const uint64_t low = Next32();
  return low | (uint64_t{Next32()} << 32);
}

double RandomStream::Normal() {
  // Box-Muller, one of the pair: keeping the other would be state that position() does not show.
  constexpr double kTwoPi = 6.283185307179586476925;
  const double radius = std::sqrt(-2.0 * std::log(UniformWide()));
  return radius * std::cos(kTwoPi * UniformWide());
}

uint64_t RandomStream::Below(uint64_t n) {
  HONE_CHECK(n >= 1) << "there is no number below 0";
  // Lemire's method: the top half of a 128-bit product, without the few values that would be
  // unfair.
  const uint64_t unfair = (0 - n) % n;
  while (true) {
    const Uint128 product = Uint128{Next64()} * n;
    if (static_cast<uint64_t>(product) >= unfair) return static_cast<uint64_t>(product >> 64);
  }
}

Permutation::Permutation(PhiloxKey key, uint64_t n) : key_(key), n_(n), half_bits_(1) {
  HONE_CHECK(n >= 1 && n <= uint64_t{1} << 62) << "permutation of " << n << " elements";
  while (n > uint64_t{1} << (2 * half_bits_)) ++half_bits_;
}

uint64_t Permutation::Encrypt(uint64_t x) const {
  const uint64_t mask = (uint64_t{1} << half_bits_) - 1;
  uint64_t left = x >> half_bits_, right = x & mask;
  // Small halves need more rounds than the classic four to look random.
  for (uint32_t round = 0; round < 12; ++round) {
    const uint32_t mixed =
        Philox4x32(key_, {static_cast<uint32_t>(right), round, 0x7065726d, 0})[0];
    const uint64_t next = left ^ (mixed & mask);
    left = right;
    right = next;
  }
  return left << half_bits_ | right;
}

uint64_t Permutation::At(uint64_t i) const {
  HONE_CHECK(i < n_) << "element " << i << " of a permutation of " << n_;
  do {
    i = Encrypt(i);
  } while (i >= n_);
  return i;
}

std::string RandomHex(int bytes) {
  std::string raw(static_cast<size_t>(bytes), '\0');
  HONE_CHECK(bytes <= 256 && getrandom(raw.data(), raw.size(), 0) == bytes)
      << "the kernel gave no " << bytes << " random bytes";
  return absl::BytesToHexString(raw);
}

}  // namespace hone
