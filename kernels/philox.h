#pragma once

// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3"), for host and
// device. A block of four words is a pure function of (key, counter), so noise can belong to a
// token id instead of to the order in which somebody draws it. Plain C++ here because kernels/
// includes nothing of libs/.

#include <cstdint>

#ifdef __CUDACC__
#define HONE_DEVICE __host__ __device__
#else
#define HONE_DEVICE
#endif

namespace hone::kernels {

inline constexpr uint32_t kPhiloxM0 = 0xD2511F53, kPhiloxM1 = 0xCD9E8D57;
inline constexpr uint32_t kPhiloxW0 = 0x9E3779B9, kPhiloxW1 = 0xBB67AE85;
inline constexpr int kPhiloxRounds = 10;

struct PhiloxBlock {
  uint32_t word[4];
};

// The block of `counter` (word 0 is the lowest) under `key` (key0 is the low half of a 64-bit key).
HONE_DEVICE inline PhiloxBlock Philox(uint32_t key0, uint32_t key1, PhiloxBlock counter) {
  for (int round = 0; round < kPhiloxRounds; ++round) {
    const uint64_t p0 = uint64_t{kPhiloxM0} * counter.word[0];
    const uint64_t p1 = uint64_t{kPhiloxM1} * counter.word[2];
    counter = {{uint32_t(p1 >> 32) ^ counter.word[1] ^ key0, uint32_t(p1),
                uint32_t(p0 >> 32) ^ counter.word[3] ^ key1, uint32_t(p0)}};
    key0 += kPhiloxW0;
    key1 += kPhiloxW1;
  }
  return counter;
}

// Noise of a sampler: key = seed, counter = (low and high half of position, id / 4, 0), word id
// % 4.
HONE_DEVICE inline uint32_t SamplerWord(uint64_t seed, uint64_t position, uint32_t id) {
  return Philox(uint32_t(seed), uint32_t(seed >> 32),
                {{uint32_t(position), uint32_t(position >> 32), id / 4, 0}})
      .word[id % 4];
}

// A number in [2^-24, 1 - 2^-24], exact in f32: never 0 and never 1, so its logarithm is finite and
// not 0.
HONE_DEVICE inline float UniformOf(uint32_t word) {
  return (float(word >> 9) + 0.5f) * 0x1p-23f;
}

}  // namespace hone::kernels
