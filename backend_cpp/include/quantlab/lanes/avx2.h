// Sixteen integers of 32 bits at once, in two registers; see quantlab/lanes/scalar.h.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "quantlab/lanes/count.h"

namespace quantlab {
namespace {

inline const __m256i* as_256(const void* from) { return static_cast<const __m256i*>(from); }

struct Lanes {
  __m256i low;
  __m256i high;

  static constexpr int kMaxBlocks = 1;
  static constexpr int rows(int) { return 4; }

  static Lanes zero() { return {_mm256_setzero_si256(), _mm256_setzero_si256()}; }
  static Lanes splat(std::int32_t value) {
    return {_mm256_set1_epi32(value), _mm256_set1_epi32(value)};
  }
  static Lanes load(const std::int32_t* from) {
    return {_mm256_loadu_si256(as_256(from)), _mm256_loadu_si256(as_256(from + 8))};
  }
  void store(std::int32_t* to) const {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), low);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + 8), high);
  }
  static Lanes from(const std::int32_t* from) { return load(from); }
  static Lanes from(const std::uint8_t* from) {
    const __m128i x = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
    return {_mm256_cvtepu8_epi32(x), _mm256_cvtepu8_epi32(_mm_srli_si128(x, 8))};
  }
  static Lanes from(const std::int8_t* from) {
    const __m128i x = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
    return {_mm256_cvtepi8_epi32(x), _mm256_cvtepi8_epi32(_mm_srli_si128(x, 8))};
  }
  static Lanes from(const std::int16_t* from) {
    const __m256i x = _mm256_loadu_si256(as_256(from));
    return {_mm256_cvtepi16_epi32(_mm256_castsi256_si128(x)),
            _mm256_cvtepi16_epi32(_mm256_extracti128_si256(x, 1))};
  }
  void narrow(std::int32_t* to) const { store(to); }
  void narrow(std::int16_t* to) const {
    const __m256i mask = _mm256_set1_epi32(0xffff);
    const __m256i x =
        _mm256_packus_epi32(_mm256_and_si256(low, mask), _mm256_and_si256(high, mask));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm256_permute4x64_epi64(x, 0xd8));
  }
  void narrow(std::uint8_t* to) const {
    const __m256i mask = _mm256_set1_epi32(0xff);
    const __m256i x = _mm256_permute4x64_epi64(
        _mm256_packus_epi32(_mm256_and_si256(low, mask), _mm256_and_si256(high, mask)), 0xd8);
    const __m128i bytes =
        _mm_packus_epi16(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), bytes);
  }
  void narrow(std::int8_t* to) const { narrow(reinterpret_cast<std::uint8_t*>(to)); }
  void saturate(std::int16_t* to) const {
    const __m256i x = _mm256_permute4x64_epi64(_mm256_packs_epi32(low, high), 0xd8);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), x);
  }
};

inline Lanes operator+(Lanes a, Lanes b) {
  return {_mm256_add_epi32(a.low, b.low), _mm256_add_epi32(a.high, b.high)};
}

inline Lanes operator*(Lanes a, Lanes b) {
  return {_mm256_mullo_epi32(a.low, b.low), _mm256_mullo_epi32(a.high, b.high)};
}

inline Lanes above(Lanes a, Lanes limit) {
  return {_mm256_srli_epi32(_mm256_cmpgt_epi32(a.low, limit.low), 31),
          _mm256_srli_epi32(_mm256_cmpgt_epi32(a.high, limit.high), 31)};
}

// Bytes are multiplied as words, those of even and of odd places: VPMADDUBSW would saturate.
struct SplatBytes {
  __m256i even;
  __m256i odd;

  static SplatBytes of(const std::uint8_t* from) {
    std::int32_t four;
    __builtin_memcpy(&four, from, sizeof four);
    const __m256i x = _mm256_set1_epi32(four);
    return {_mm256_and_si256(x, _mm256_set1_epi16(0xff)), _mm256_srli_epi16(x, 8)};
  }
};

struct WeightBytes {
  __m256i even[2];
  __m256i odd[2];

  static WeightBytes load(const std::int8_t* from) {
    const __m256i a = _mm256_loadu_si256(as_256(from));
    const __m256i b = _mm256_loadu_si256(as_256(from + 32));
    return {{_mm256_srai_epi16(_mm256_slli_epi16(a, 8), 8),
             _mm256_srai_epi16(_mm256_slli_epi16(b, 8), 8)},
            {_mm256_srai_epi16(a, 8), _mm256_srai_epi16(b, 8)}};
  }
};

inline __m256i dot_of(__m256i sum, __m256i x, __m256i w) {
  return _mm256_add_epi32(sum, _mm256_madd_epi16(x, w));
}

inline Lanes dot(Lanes sum, const SplatBytes& x, const WeightBytes& w) {
  return {dot_of(dot_of(sum.low, x.even, w.even[0]), x.odd, w.odd[0]),
          dot_of(dot_of(sum.high, x.even, w.even[1]), x.odd, w.odd[1])};
}

struct SplatWords {
  __m256i x;

  static SplatWords of(const std::int16_t* from) {
    std::int32_t two;
    __builtin_memcpy(&two, from, sizeof two);
    return {_mm256_set1_epi32(two)};
  }
};

struct WeightWords {
  __m256i low;
  __m256i high;

  static WeightWords load(const std::int16_t* from) {
    return {_mm256_loadu_si256(as_256(from)), _mm256_loadu_si256(as_256(from + 16))};
  }
  static WeightWords hold(const std::int16_t* from) {
    WeightWords words = load(from);
    __asm__("" : "+x"(words.low), "+x"(words.high));
    return words;
  }
};

inline Lanes dot(Lanes sum, const SplatWords& x, const WeightWords& w) {
  return {dot_of(sum.low, x.x, w.low), dot_of(sum.high, x.x, w.high)};
}

inline Lanes dot(Lanes sum, const WeightWords& x, const WeightWords& w) {
  return {dot_of(sum.low, x.low, w.low), dot_of(sum.high, x.high, w.high)};
}

struct Wide {
  __m256i x[4];  // even lanes below 8, odd ones, even lanes from 8, odd ones

  static Wide load(const std::int64_t* from) {
    return {{_mm256_loadu_si256(as_256(from)), _mm256_loadu_si256(as_256(from + 8)),
             _mm256_loadu_si256(as_256(from + 4)), _mm256_loadu_si256(as_256(from + 12))}};
  }
  static Wide splat(std::int64_t value) {
    const __m256i x = _mm256_set1_epi64x(value);
    return {{x, x, x, x}};
  }
};

inline Wide product(Lanes a, Lanes b) {
  return {{_mm256_mul_epi32(a.low, b.low),
           _mm256_mul_epi32(_mm256_srli_epi64(a.low, 32), _mm256_srli_epi64(b.low, 32)),
           _mm256_mul_epi32(a.high, b.high),
           _mm256_mul_epi32(_mm256_srli_epi64(a.high, 32), _mm256_srli_epi64(b.high, 32))}};
}

inline Wide operator+(Wide a, const Wide& b) {
  for (int i = 0; i < 4; ++i) a.x[i] = _mm256_add_epi64(a.x[i], b.x[i]);
  return a;
}

inline Lanes upper(const Wide& a) {
  return {_mm256_blend_epi32(_mm256_srli_epi64(a.x[0], 32), a.x[1], 0xaa),
          _mm256_blend_epi32(_mm256_srli_epi64(a.x[2], 32), a.x[3], 0xaa)};
}

inline Lanes shifted(Lanes value, Lanes shift) {
  return {_mm256_srav_epi32(value.low, shift.low), _mm256_srav_epi32(value.high, shift.high)};
}

inline Lanes shifted(Lanes value, Lanes shift, Lanes low, Lanes high) {
  const __m256i least = _mm256_max_epi32(_mm256_srav_epi32(value.low, shift.low), low.low);
  const __m256i less = _mm256_max_epi32(_mm256_srav_epi32(value.high, shift.high), low.high);
  return {_mm256_min_epi32(least, high.low), _mm256_min_epi32(less, high.high)};
}

// AVX2 shifts 64 bits without regard to the sign: 2^63 is added before and taken off after.
inline __m256i shifted_of(__m256i value, __m256i shift, __m256i low, __m256i high) {
  const __m256i top = _mm256_set1_epi64x(static_cast<long long>(0x8000000000000000ull));
  const __m256i x = _mm256_sub_epi64(_mm256_srlv_epi64(_mm256_xor_si256(value, top), shift),
                                     _mm256_srlv_epi64(top, shift));
  const __m256i least = _mm256_blendv_epi8(x, low, _mm256_cmpgt_epi64(low, x));
  return _mm256_blendv_epi8(least, high, _mm256_cmpgt_epi64(least, high));
}

inline Lanes shifted(const Wide& value, const Wide& shift, const Wide& low, const Wide& high) {
  __m256i x[4];
  for (int i = 0; i < 4; ++i) x[i] = shifted_of(value.x[i], shift.x[i], low.x[i], high.x[i]);
  return {_mm256_blend_epi32(x[0], _mm256_slli_epi64(x[1], 32), 0xaa),
          _mm256_blend_epi32(x[2], _mm256_slli_epi64(x[3], 32), 0xaa)};
}

}  // namespace
}  // namespace quantlab
