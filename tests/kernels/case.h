#pragma once

// Op cases are data. A case says how to run an op on some of its rows and what a float64 reference
// gives; the same case checks the CPU against the reference, both instruction sets and CUDA against
// the CPU, batch invariance, independence of the number of threads, and (bench/kernels) speed.

#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "kernels/kernels.h"
#include "tests/kernels/memory.h"

namespace hone::kernels::testing {

using Numbers = std::vector<double>;

// Numbers that f32 and bf16 hold exactly (multiples of 1/64 in (-2, 2)), the same for the same
// arguments.
inline Numbers Random(int64_t n, uint64_t seed, double scale = 1) {
  Numbers x(n);
  uint64_t s = seed * 0x9E3779B97F4A7C15ull + 12345;
  for (double& v : x) {
    s ^= s << 13;
    s ^= s >> 7;
    s ^= s << 17;
    v = static_cast<double>(static_cast<int64_t>(s >> 40) % 128) / 64 * scale;
    if (s & 1) v = -v;
  }
  return x;
}

// A typed array on memory that the backend reaches. Outputs start as NaN, and so does a zone behind
// the end, which must stay so.
class Array {
 public:
  Array() = default;
  // NaN.
  Array(int64_t n, DType dtype) : n_(n), size_(dtype == DType::kF32 ? 4 : 2) {
    data_.reset(static_cast<char*>(AllocateShared(n * size_ + kGuard)), FreeShared);
    std::memset(data_.get(), 0xff, n * size_ + kGuard);
  }
  Array(const Numbers& x, DType dtype) : Array(static_cast<int64_t>(x.size()), dtype) {
    for (int64_t i = 0; i < n_; ++i) Set(i, x[i]);
  }
  template <typename T>
  static Array Of(const std::vector<T>& x) {
    Array a;
    a.n_ = static_cast<int64_t>(x.size());
    a.size_ = sizeof(T);
    a.data_.reset(static_cast<char*>(AllocateShared(x.size() * sizeof(T) + kGuard)), FreeShared);
    std::memset(a.data_.get(), 0xff, x.size() * sizeof(T) + kGuard);
    if (!x.empty()) std::memcpy(a.data_.get(), x.data(), x.size() * sizeof(T));
    return a;
  }

  template <typename T = float>
  T* As() const {
    return reinterpret_cast<T*>(data_.get());
  }
  // Element `at` of an array of this dtype.
  void* At(int64_t at) const { return data_.get() + at * size_; }
  int64_t size() const { return n_; }
  float Get(int64_t i) const {
    uint32_t bits = 0;
    if (size_ == 4) return As<float>()[i];
    bits = uint32_t{As<uint16_t>()[i]} << 16;
    float f;
    std::memcpy(&f, &bits, 4);
    return f;
  }
  std::vector<float> Floats() const {
    std::vector<float> x(n_);
    for (int64_t i = 0; i < n_; ++i) x[i] = Get(i);
    return x;
  }
  bool Intact() const {
    if (data_ == nullptr) return true;
    for (int64_t i = 0; i < kGuard; ++i)
      if (static_cast<unsigned char>(data_.get()[n_ * size_ + i]) != 0xff) return false;
    return true;
  }

 private:
  static constexpr int64_t kGuard = 128;
  void Set(int64_t i, double x) {
    const float f = static_cast<float>(x);
    if (size_ == 4) {
      As<float>()[i] = f;
      return;
    }
    uint32_t bits;
    std::memcpy(&bits, &f, 4);
    As<uint16_t>()[i] = static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
  }
  std::shared_ptr<char> data_;
  int64_t n_ = 0, size_ = 4;
};

// What came out: a fixed number of floats per row, and what belongs to no row (gradients of
// weights).
struct Result {
  std::vector<float> rows, sums;
  bool intact = true;  // nothing was written behind the end of an array
};

// An op with its arguments in place.
struct Job {
  std::function<Error(const Table&, Stream)> call;
  std::function<Result()> result;
};

struct Case {
  std::string name;
  int64_t rows = 1;
  // Greatest error over (1 + largest absolute reference).
  double tolerance = 2e-6, bf16_tolerance = 0;  // 0: not in bf16
  bool sparse = false;                          // rows cannot be taken apart
  // The op on rows [begin, end).
  std::function<Job(DType, int64_t begin, int64_t end)> job;
  std::function<Numbers()> rows_reference, sums_reference;  // null: not checked
  // Elements that the reference gives, of a result too large for all; empty: all.
  std::vector<int64_t> sample;
  double flops = 0, bytes = 0;  // of one call in f32, for bench/
  // Whether the table of a backend has the op.
  std::function<bool(const Table&)> has;
  // A kernel that a call in bf16 must launch on CUDA, of all that could compute it; null: any.
  const char* kernel = nullptr;
};

// Gradient of f at x by central differences, in float64.
inline Numbers Gradient(const std::function<double(const Numbers&)>& f, Numbers x) {
  Numbers g(x.size());
  for (size_t i = 0; i < x.size(); ++i) {
    const double at = x[i], h = 1e-5 * std::max(1.0, std::abs(at));
    x[i] = at + h;
    const double up = f(x);
    x[i] = at - h;
    const double down = f(x);
    x[i] = at;
    g[i] = (up - down) / (2 * h);
  }
  return g;
}

// Some of n numbers: every 997th, and the last one.
inline std::vector<int64_t> Sample(int64_t n) {
  std::vector<int64_t> some;
  for (int64_t i = 0; i < n - 1; i += 997) some.push_back(i);
  some.push_back(n - 1);
  return some;
}

inline double Dot(const Numbers& a, const Numbers& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

inline Numbers Slice(const Numbers& x, int64_t begin, int64_t end) {
  return Numbers(x.begin() + begin, x.begin() + end);
}

// Concatenates outputs of the same rows: row n of each in turn.
inline std::vector<float> Rows(int64_t n, const std::vector<std::vector<float>>& parts) {
  std::vector<float> all;
  for (int64_t i = 0; i < n; ++i)
    for (const auto& p : parts) {
      const int64_t w = static_cast<int64_t>(p.size()) / std::max<int64_t>(n, 1);
      all.insert(all.end(), p.begin() + i * w, p.begin() + (i + 1) * w);
    }
  return all;
}

}  // namespace hone::kernels::testing
