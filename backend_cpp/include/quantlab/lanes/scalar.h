// Sixteen integers of 32 bits at once, for any processor; the instruction sets' files in this
// folder have the same functions:
//
//   load, store, from_u8 ...    16 numbers, any address; the stores keep the lowest bits
//   dot(sum, x, w)              sum + the products of four bytes, or of two words, in each lane
//   hold                        loads into a register, where a compiler might load again and again
//   saturate                    stores the nearest words
//   Wide                        16 integers of 64 bits, in memory those of even lanes first
//   upper(v)                    the upper 32 bits of each, as `Lanes`
//   shifted(v, shift, ends)     (v >> shift) between both ends, of 64 bits or of 32
//   shifted(v, shift)           v >> shift, of 32 bits
//   above(x, limit)             1 where x > limit, else 0
//
// Files of an instruction set include one of them and nothing inline from the standard library.
#pragma once

#include <cstddef>
#include <cstdint>

#include "quantlab/lanes/count.h"

namespace quantlab {
namespace {  // a copy for each unit: no symbol is shared between instruction sets

struct Lanes {
  std::int32_t x[kLanes];

  // A tile of the matrix product: blocks of 16 outputs, and rows for so many blocks.
  static constexpr int kMaxBlocks = 1;
  static constexpr int rows(int) { return 4; }

  static Lanes zero() { return {}; }
  static Lanes splat(std::int32_t value) {
    Lanes a;
    for (std::size_t i = 0; i < kLanes; ++i) a.x[i] = value;
    return a;
  }
  static Lanes load(const std::int32_t* from) {
    Lanes a;
    for (std::size_t i = 0; i < kLanes; ++i) a.x[i] = from[i];
    return a;
  }
  void store(std::int32_t* to) const {
    for (std::size_t i = 0; i < kLanes; ++i) to[i] = x[i];
  }
  template <class T>
  static Lanes from(const T* from) {
    Lanes a;
    for (std::size_t i = 0; i < kLanes; ++i) a.x[i] = from[i];
    return a;
  }
  template <class T>
  void narrow(T* to) const {
    for (std::size_t i = 0; i < kLanes; ++i) to[i] = static_cast<T>(x[i]);
  }
  void saturate(std::int16_t* to) const {
    for (std::size_t i = 0; i < kLanes; ++i) {
      const std::int32_t most = x[i] < 32767 ? x[i] : 32767;
      to[i] = static_cast<std::int16_t>(most > -32768 ? most : -32768);
    }
  }
};

// Sums wrap around as those of the other instruction sets do.
inline std::int32_t wrapped(std::int32_t a, std::int32_t b) {
  return static_cast<std::int32_t>(static_cast<std::uint32_t>(a) + static_cast<std::uint32_t>(b));
}

inline Lanes operator+(Lanes a, Lanes b) {
  for (std::size_t i = 0; i < kLanes; ++i) a.x[i] = wrapped(a.x[i], b.x[i]);
  return a;
}

inline Lanes operator*(Lanes a, Lanes b) {
  for (std::size_t i = 0; i < kLanes; ++i) a.x[i] *= b.x[i];
  return a;
}

inline Lanes above(Lanes a, Lanes limit) {
  for (std::size_t i = 0; i < kLanes; ++i) a.x[i] = a.x[i] > limit.x[i] ? 1 : 0;
  return a;
}

template <class T, int kCount>
struct Splat {
  T x[kCount];

  static Splat of(const T* from) {
    Splat a;
    for (int i = 0; i < kCount; ++i) a.x[i] = from[i];
    return a;
  }
};

template <class T, int kCount>
struct Weights {
  const T* w;

  static Weights load(const T* from) { return {from}; }
  static Weights hold(const T* from) { return {from}; }
};

using SplatBytes = Splat<std::uint8_t, 4>;
using SplatWords = Splat<std::int16_t, 2>;
using WeightBytes = Weights<std::int8_t, 4>;
using WeightWords = Weights<std::int16_t, 2>;

template <class X, class W, int kCount>
Lanes dot(Lanes sum, const Splat<X, kCount>& x, const Weights<W, kCount>& w) {
  for (std::size_t i = 0; i < kLanes; ++i) {
    std::int32_t product = 0;
    for (int j = 0; j < kCount; ++j) product += x.x[j] * w.w[i * kCount + j];
    sum.x[i] = wrapped(sum.x[i], product);
  }
  return sum;
}

// The same of words in each lane, those of neither in all of them.
inline Lanes dot(Lanes sum, const WeightWords& x, const WeightWords& w) {
  for (std::size_t i = 0; i < kLanes; ++i) {
    const std::int32_t product = x.w[2 * i] * w.w[2 * i] + x.w[2 * i + 1] * w.w[2 * i + 1];
    sum.x[i] = wrapped(sum.x[i], product);
  }
  return sum;
}

struct Wide {
  std::int64_t even[kLanes / 2];
  std::int64_t odd[kLanes / 2];

  static Wide load(const std::int64_t* from) {
    Wide a;
    for (std::size_t i = 0; i < kLanes / 2; ++i) {
      a.even[i] = from[i];
      a.odd[i] = from[kLanes / 2 + i];
    }
    return a;
  }
  static Wide splat(std::int64_t value) {
    Wide a;
    for (std::size_t i = 0; i < kLanes / 2; ++i) a.even[i] = a.odd[i] = value;
    return a;
  }
};

inline Wide product(Lanes a, Lanes b) {
  Wide wide;
  for (std::size_t i = 0; i < kLanes / 2; ++i) {
    wide.even[i] = static_cast<std::int64_t>(a.x[2 * i]) * b.x[2 * i];
    wide.odd[i] = static_cast<std::int64_t>(a.x[2 * i + 1]) * b.x[2 * i + 1];
  }
  return wide;
}

inline Wide operator+(Wide a, const Wide& b) {
  for (std::size_t i = 0; i < kLanes / 2; ++i) {
    a.even[i] += b.even[i];
    a.odd[i] += b.odd[i];
  }
  return a;
}

inline std::int32_t between(std::int64_t value, std::int64_t low, std::int64_t high) {
  return static_cast<std::int32_t>(value < low ? low : value > high ? high : value);
}

inline Lanes upper(const Wide& a) {
  Lanes halves;
  for (std::size_t i = 0; i < kLanes / 2; ++i) {
    halves.x[2 * i] = static_cast<std::int32_t>(a.even[i] >> 32);
    halves.x[2 * i + 1] = static_cast<std::int32_t>(a.odd[i] >> 32);
  }
  return halves;
}

inline Lanes shifted(Lanes value, const Lanes& shift) {
  for (std::size_t i = 0; i < kLanes; ++i) value.x[i] >>= shift.x[i];
  return value;
}

inline Lanes shifted(Lanes value, const Lanes& shift, const Lanes& low, const Lanes& high) {
  for (std::size_t i = 0; i < kLanes; ++i) {
    value.x[i] = between(value.x[i] >> shift.x[i], low.x[i], high.x[i]);
  }
  return value;
}

inline Lanes shifted(const Wide& value, const Wide& shift, const Wide& low, const Wide& high) {
  Lanes a;
  for (std::size_t i = 0; i < kLanes / 2; ++i) {
    a.x[2 * i] = between(value.even[i] >> shift.even[i], low.even[i], high.even[i]);
    a.x[2 * i + 1] = between(value.odd[i] >> shift.odd[i], low.odd[i], high.odd[i]);
  }
  return a;
}

}  // namespace
}  // namespace quantlab
