#pragma once

// Counter-based randomness: Philox4x32-10 of Salmon et al., "Parallel Random Numbers: As Easy as
// 1, 2, 3" (SC11). A number is a pure function of (key, counter), so noise that is keyed by what it
// is for (seed, prompt, sample, position, token) is the same on every worker, in every batch and
// after every restart. Nothing here is for secrets.
//
// Integers and uniform floats have the same bits on every machine; Normal goes through libm's log
// and cos and is the same only where libm is.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "absl/strings/string_view.h"

namespace hone {

using PhiloxKey = std::array<uint32_t, 2>;
using PhiloxCounter = std::array<uint32_t, 4>;
using PhiloxBlock = std::array<uint32_t, 4>;

// The 128 bits of `counter` under `key`, ten rounds. Word 0 is the least significant, as in the
// paper.
constexpr PhiloxBlock Philox4x32(PhiloxKey key, PhiloxCounter counter) {
  constexpr uint64_t kMultiplier0 = 0xD2511F53u, kMultiplier1 = 0xCD9E8D57u;
  constexpr uint32_t kWeyl0 = 0x9E3779B9u, kWeyl1 = 0xBB67AE85u;
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = kMultiplier0 * counter[0];
    const uint64_t p1 = kMultiplier1 * counter[2];
    counter = {static_cast<uint32_t>(p1 >> 32) ^ counter[1] ^ key[0], static_cast<uint32_t>(p1),
               static_cast<uint32_t>(p0 >> 32) ^ counter[3] ^ key[1], static_cast<uint32_t>(p0)};
    key[0] += kWeyl0;
    key[1] += kWeyl1;
  }
  return counter;
}

constexpr PhiloxKey KeyFromSeed(uint64_t seed) {
  return {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)};
}
// A key for (key, a, b), independent of the parent's own numbers unless the parent is also read at
// the counter {a, b}: use a key either for deriving or for numbers, not both.
constexpr PhiloxKey DeriveKey(PhiloxKey key, uint64_t a, uint64_t b = 0) {
  const PhiloxBlock r = Philox4x32(key, {static_cast<uint32_t>(a), static_cast<uint32_t>(a >> 32),
                                         static_cast<uint32_t>(b), static_cast<uint32_t>(b >> 32)});
  return {r[0], r[1]};
}
// The same for a name ("data order", "dropout"): streams that are named cannot collide by number.
PhiloxKey DeriveKey(PhiloxKey key, absl::string_view name);

// 24 random bits as a float in (0, 1]: never 0, so its log is finite; exact in fp32.
constexpr float UniformFloat(uint32_t bits) {
  return static_cast<float>((bits >> 8) + 1) * 0x1p-24f;
}
// 53 random bits as a double in (0, 1].
constexpr double UniformDouble(uint64_t bits) {
  return static_cast<double>((bits >> 11) + 1) * 0x1p-53;
}

// The numbers of one key in order. Copyable; a copy goes on alike. Not thread-safe.
class RandomStream {
 public:
  explicit RandomStream(PhiloxKey key) : key_(key) {}
  explicit RandomStream(uint64_t seed) : RandomStream(KeyFromSeed(seed)) {}

  uint32_t Next32();
  uint64_t Next64();
  float Uniform() { return UniformFloat(Next32()); }        // (0, 1]
  double UniformWide() { return UniformDouble(Next64()); }  // (0, 1]
  bool Bernoulli(double p) { return UniformWide() <= p; }   // p in [0, 1]
  double Normal();                                          // mean 0, variance 1
  uint64_t Below(uint64_t n);                               // [0, n) without bias; n >= 1

  // How many 32-bit words were taken; with the key, all that a checkpoint has to keep.
  uint64_t position() const { return position_; }
  void Seek(uint64_t position) { position_ = position; }
  PhiloxKey key() const { return key_; }

 private:
  PhiloxKey key_;
  uint64_t position_ = 0;
  uint64_t block_index_ = ~uint64_t{0};  // Which block `block_` holds.
  PhiloxBlock block_{};
};

// A random order of 0..n-1 that needs no memory: a keyed Feistel network over the next even power
// of two, walked along its cycles until it lands below n. At(i) costs about 1 to 4 network passes.
// Immutable, thread-safe.
class Permutation {
 public:
  // 1 <= n <= 2^62.
  Permutation(PhiloxKey key, uint64_t n);
  // The i-th element of the order, i < n.
  uint64_t At(uint64_t i) const;
  uint64_t size() const { return n_; }

 private:
  uint64_t Encrypt(uint64_t x) const;
  PhiloxKey key_;
  uint64_t n_;
  int half_bits_;
};

// `bytes` bytes from the kernel's generator, as lower-case hexadecimal digits: names and marks that
// an adversary must not guess.
std::string RandomHex(int bytes);

// Puts `items` (anything with size() and operator[]) in a uniformly random order, by Fisher-Yates.
template <typename Items>
void Shuffle(RandomStream& stream, Items& items) {
  using std::swap;
  for (size_t i = items.size(); i > 1; --i) swap(items[i - 1], items[stream.Below(i)]);
}

}  // namespace hone
