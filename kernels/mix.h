#pragma once

// What digests of weights are made of, for host and device.

#include <cstdint>

#ifdef __CUDACC__
#define HONE_DEVICE __host__ __device__
#else
#define HONE_DEVICE
#endif

namespace hone::kernels {

// Word j of an array, as a random number that follows from both: the finalizer of SplitMix64
// (Steele, Lea, Flood: "Fast splittable pseudorandom number generators"). Sums modulo 2^64 of these
// have no order, so any number of threads gives the same.
HONE_DEVICE inline uint64_t Mix(uint64_t j, uint64_t word) {
  uint64_t x = word + (j + 1) * 0x9E3779B97F4A7C15;
  x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9;
  x = (x ^ x >> 27) * 0x94D049BB133111EB;
  return x ^ x >> 31;
}

}  // namespace hone::kernels
