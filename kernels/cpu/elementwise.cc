// Rope, biases, SwiGLU, casts, rows that move and gradients of MLA's keys. All memory-bound.

#include <algorithm>

#include "kernels/cpu/kernels_isa.h"
#include "kernels/cpu/marks.h"
#include "kernels/cpu/simd.h"
#include "kernels/cpu/team.h"

namespace hone::kernels::cpu::HONE_ISA {
namespace {

int64_t SizeOf(DType dtype) {
  return dtype == DType::kBF16 ? 2 : 4;
}

// Pairs (2j, 2j + 1): the table's {cos, sin} lies as the channels do.
template <typename T>
void RopeInterleaved(const T* x, T* out, const float* table, int64_t d, bool inverse) {
  ForLanes(d, [&](int64_t i, auto lanes) {
    const Vec v = Load(x + i, lanes), angle = Load(table + i, lanes);
    const Vec sin = inverse ? Zero() - OddLanes(angle) : OddLanes(angle);
    Store(out + i, FmaSubAdd(v, EvenLanes(angle), SwapPairs(v) * sin), lanes);
  });
}

// Pairs (j, j + D/2), with cos and sin apart.
template <typename T>
void RopeHalves(const T* x, T* out, const float* cos, const float* sin, int64_t half) {
  ForLanes(half, [&](int64_t i, auto lanes) {
    const Vec a = Load(x + i, lanes), b = Load(x + half + i, lanes);
    const Vec c = Load(cos + i, lanes), s = Load(sin + i, lanes);
    Store(out + i, Fma(a, c, Zero() - b * s), lanes);
    Store(out + half + i, Fma(b, c, a * s), lanes);
  });
}

template <typename F>
void CopyRows(Stream stream, int64_t n, int64_t bytes, const F& f) {
  ParallelFor(stream, n, RowGrain(bytes / 4), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) f(i);
  });
}

}  // namespace

Error Rope(const RopeArgs& a, Stream stream) {
  if (a.d % 2 != 0) return "rope: an odd number of channels";
  WithType(a.dtype, [&](auto t) {
    using T = decltype(t);
    ParallelFor(stream, a.n, RowGrain(a.heads * a.d), [&](int64_t begin, int64_t end) {
      const int64_t half = a.d / 2;
      float* cos = static_cast<float*>(Scratch(4 * a.d));
      float* sin = cos + half;
      for (int64_t n = begin; n < end; ++n) {
        const float* table = a.table + a.positions[n] * a.d;
        const T* x = static_cast<const T*>(a.x) + n * a.ldx;
        T* out = static_cast<T*>(a.out) + n * a.ldo;
        if (a.interleaved) {
          for (int64_t h = 0; h < a.heads; ++h)
            RopeInterleaved(x + h * a.head_x, out + h * a.head_o, table, a.d, a.inverse);
          continue;
        }
        for (int64_t j = 0; j < half; ++j) {
          cos[j] = table[2 * j];
          sin[j] = a.inverse ? -table[2 * j + 1] : table[2 * j + 1];
        }
        for (int64_t h = 0; h < a.heads; ++h)
          RopeHalves(x + h * a.head_x, out + h * a.head_o, cos, sin, half);
      }
    });
  });
  return nullptr;
}

Error Bias(const BiasArgs& a, Stream stream) {
  WithType(a.dtype, [&](auto t) {
    using T = decltype(t);
    ParallelFor(stream, a.n, RowGrain(a.c), [&](int64_t begin, int64_t end) {
      const T* bias = static_cast<const T*>(a.bias);
      for (int64_t n = begin; n < end; ++n) {
        T* out = static_cast<T*>(a.out) + n * a.ldo;
        if (a.x == nullptr) {
          std::memcpy(out, bias, a.c * sizeof(T));
          continue;
        }
        const T* x = static_cast<const T*>(a.x) + n * a.ldx;
        ForLanes(a.c, [&](int64_t i, auto lanes) {
          Store(out + i, Load(x + i, lanes) + Load(bias + i, lanes), lanes);
        });
      }
    });
  });
  return nullptr;
}

Error BiasBackward(const BiasBackwardArgs& a, Stream stream) {
  WithType(a.dtype, [&](auto t) {
    using T = decltype(t);
    // Parts are columns: rows add up in order.
    const int64_t blocks = (a.c + 63) / 64;
    ParallelFor(stream, blocks, RowGrain(a.n * 64), [&](int64_t begin, int64_t end) {
      const int64_t c0 = begin * 64, c1 = a.c < end * 64 ? a.c : end * 64;
      float* sum = a.dbias + c0;
      for (int64_t n = 0; n < a.n; ++n) {
        const T* row = static_cast<const T*>(a.dout) + n * a.ldo + c0;
        ForLanes(c1 - c0, [&](int64_t i, auto lanes) {
          Store(sum + i, Load(sum + i, lanes) + Load(row + i, lanes), lanes);
        });
      }
    });
  });
  return nullptr;
}

Error Swiglu(const SwigluArgs& a, Stream stream) {
  WithType(a.dtype, [&](auto t) {
    using T = decltype(t);
    ParallelFor(stream, a.n, RowGrain(6 * a.f), [&](int64_t begin, int64_t end) {
      for (int64_t n = begin; n < end; ++n) {
        const T* gate = static_cast<const T*>(a.x) + n * 2 * a.f;
        T* out = static_cast<T*>(a.out) + n * a.f;
        ForLanes(a.f, [&](int64_t i, auto lanes) {
          const Vec g = Load(gate + i, lanes);
          Store(out + i, g * Sigmoid(g) * Load(gate + a.f + i, lanes), lanes);
        });
      }
    });
  });
  return nullptr;
}

Error SwigluBackward(const SwigluBackwardArgs& a, Stream stream) {
  WithType(a.dtype, [&](auto t) {
    using T = decltype(t);
    ParallelFor(stream, a.n, RowGrain(8 * a.f), [&](int64_t begin, int64_t end) {
      for (int64_t n = begin; n < end; ++n) {
        const T* gate = static_cast<const T*>(a.x) + n * 2 * a.f;
        const T* dout = static_cast<const T*>(a.dout) + n * a.f;
        T* dx = static_cast<T*>(a.dx) + n * 2 * a.f;
        ForLanes(a.f, [&](int64_t i, auto lanes) {
          const Vec g = Load(gate + i, lanes), u = Load(gate + a.f + i, lanes);
          const Vec d = Load(dout + i, lanes), s = Sigmoid(g);
          // silu' = s (1 + g (1 - s))
          Store(dx + i, d * u * s * Fma(g, Set(1.0f) - s, Set(1.0f)), lanes);
          Store(dx + a.f + i, d * (g * s), lanes);
        });
      }
    });
  });
  return nullptr;
}

Error GatherRows(const GatherRowsArgs& a, Stream stream) {
  const int64_t bytes = a.c * SizeOf(a.dtype);
  CopyRows(stream, a.n, bytes, [&](int64_t i) {
    std::memcpy(static_cast<char*>(a.out) + i * bytes,
                static_cast<const char*>(a.x) + a.index[i] * bytes, bytes);
  });
  return nullptr;
}

Error ScatterRows(const ScatterRowsArgs& a, Stream stream) {
  const int64_t size = SizeOf(a.dtype);
  CopyRows(stream, a.n, a.c * size, [&](int64_t i) {
    std::memcpy(static_cast<char*>(a.out) + a.index[i] * a.ldo * size,
                static_cast<const char*>(a.x) + i * a.ldx * size, a.c * size);
  });
  return nullptr;
}

Error EmbeddingBackward(const EmbeddingBackwardArgs& a, Stream stream) {
  WithType(a.dtype, [&](auto t) {
    using T = decltype(t);
    // Parts are columns: rows of one id may meet anywhere in the batch and must add up in order.
    const int64_t blocks = (a.c + 63) / 64;
    ParallelFor(stream, blocks, RowGrain(a.n * 64), [&](int64_t begin, int64_t end) {
      const int64_t c0 = begin * 64, c1 = a.c < end * 64 ? a.c : end * 64;
      for (int64_t n = 0; n < a.n; ++n) {
        float* sum = a.dtable + a.ids[n] * a.c + c0;
        const T* row = static_cast<const T*>(a.dout) + n * a.c + c0;
        ForLanes(c1 - c0, [&](int64_t i, auto lanes) {
          Store(sum + i, Load(sum + i, lanes) + Load(row + i, lanes), lanes);
        });
      }
    });
  });
  return nullptr;
}

Error MlaKeysBackward(const MlaKeysBackwardArgs& a, Stream stream) {
  WithType(a.dtype, [&](auto t) {
    using T = decltype(t);
    const int64_t d = a.nope + a.rope, wide = a.nope + a.value;
    ParallelFor(stream, a.n, RowGrain(a.heads * (d + a.value)), [&](int64_t begin, int64_t end) {
      for (int64_t n = begin; n < end; ++n) {
        const float *dk = a.dk + n * a.lddk, *dv = a.dv + n * a.lddv;
        T* dkv = static_cast<T*>(a.dkv) + n * a.heads * wide;
        for (int64_t h = 0; h < a.heads; ++h) {
          ForLanes(a.nope, [&](int64_t i, auto lanes) {
            Store(dkv + h * wide + i, Load(dk + h * d + i, lanes), lanes);
          });
          ForLanes(a.value, [&](int64_t i, auto lanes) {
            Store(dkv + h * wide + a.nope + i, Load(dv + h * a.value + i, lanes), lanes);
          });
        }
        T* drope = static_cast<T*>(a.drope) + n * a.ldo;
        ForLanes(a.rope, [&](int64_t i, auto lanes) {
          Vec sum = Zero();
          for (int64_t h = 0; h < a.heads; ++h) sum = sum + Load(dk + h * d + a.nope + i, lanes);
          Store(drope + i, sum, lanes);
        });
      }
    });
  });
  return nullptr;
}

Error Cast(const CastArgs& a, Stream stream) {
  if (a.marks.bits != nullptr && (a.from != DType::kF32 || a.to != DType::kBF16))
    return "cast: marks are for f32 -> bf16";
  if (a.from == a.to) {
    const int64_t size = SizeOf(a.from);
    ParallelFor(stream, a.n, 65536, [&](int64_t begin, int64_t end) {
      std::memmove(static_cast<char*>(a.y) + begin * size,
                   static_cast<const char*>(a.x) + begin * size, (end - begin) * size);
    });
    return nullptr;
  }
  if (a.marks.bits != nullptr) {
    const float* const x = static_cast<const float*>(a.x);
    ParallelFor(stream, a.n, 65536, [&](int64_t begin, int64_t end) {
      ForLanes(end - begin, [&](int64_t j, auto lanes) {
        const int64_t i = begin + j;
        StoreMarked(static_cast<BF16*>(a.y), i, Load(x + i, lanes), lanes,
                    std::min<int64_t>(kLanes, end - i), a.marks);
      });
    });
    return nullptr;
  }
  const auto convert = [&](auto* y, const auto* x) {
    ParallelFor(stream, a.n, 65536, [&](int64_t begin, int64_t end) {
      ForLanes(end - begin, [&](int64_t i, auto lanes) {
        Store(y + begin + i, Load(x + begin + i, lanes), lanes);
      });
    });
  };
  if (a.from == DType::kF32) {
    convert(static_cast<BF16*>(a.y), static_cast<const float*>(a.x));
  } else {
    convert(static_cast<float*>(a.y), static_cast<const BF16*>(a.x));
  }
  return nullptr;
}

}  // namespace hone::kernels::cpu::HONE_ISA
