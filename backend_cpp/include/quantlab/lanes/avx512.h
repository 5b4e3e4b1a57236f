// Sixteen integers of 32 bits at once, in one register; see quantlab/lanes/scalar.h. Compiled for
// VNNI, sums of products take one instruction.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "quantlab/lanes/count.h"

namespace quantlab {
namespace {

struct Lanes {
  __m512i x;

  static constexpr int kMaxBlocks = 4;
  // Of 32 registers the tile leaves room for the weights and one input; without VNNI both take two.
  static constexpr int rows(int num_blocks) {
#if defined(__AVX512VNNI__)
    return num_blocks == 4 ? 6 : num_blocks == 3 ? 8 : 12;
#else
    return num_blocks == 4 ? 4 : num_blocks == 3 ? 6 : 10;
#endif
  }

  static Lanes zero() { return {_mm512_setzero_si512()}; }
  static Lanes splat(std::int32_t value) { return {_mm512_set1_epi32(value)}; }
  static Lanes load(const std::int32_t* from) { return {_mm512_loadu_si512(from)}; }
  void store(std::int32_t* to) const { _mm512_storeu_si512(to, x); }
  static Lanes from(const std::int32_t* from) { return load(from); }
  static Lanes from(const std::uint8_t* from) {
    return {_mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)))};
  }
  static Lanes from(const std::int8_t* from) {
    return {_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)))};
  }
  static Lanes from(const std::int16_t* from) {
    return {_mm512_cvtepi16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)))};
  }
  void narrow(std::int32_t* to) const { store(to); }
  void narrow(std::int16_t* to) const {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm512_cvtepi32_epi16(x));
  }
  void narrow(std::uint8_t* to) const {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm512_cvtepi32_epi8(x));
  }
  void narrow(std::int8_t* to) const { narrow(reinterpret_cast<std::uint8_t*>(to)); }
  void saturate(std::int16_t* to) const {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm512_cvtsepi32_epi16(x));
  }
};

inline Lanes operator+(Lanes a, Lanes b) { return {_mm512_add_epi32(a.x, b.x)}; }
inline Lanes operator*(Lanes a, Lanes b) { return {_mm512_mullo_epi32(a.x, b.x)}; }

inline Lanes above(Lanes a, Lanes limit) {
  return {_mm512_maskz_set1_epi32(_mm512_cmpgt_epi32_mask(a.x, limit.x), 1)};
}

struct SplatWords {
  __m512i x;

  static SplatWords of(const std::int16_t* from) {
    std::int32_t two;
    __builtin_memcpy(&two, from, sizeof two);
    return {_mm512_set1_epi32(two)};
  }
};

struct WeightWords {
  __m512i w;

  static WeightWords load(const std::int16_t* from) { return {_mm512_loadu_si512(from)}; }
  static WeightWords hold(const std::int16_t* from) {
    WeightWords words = load(from);
    __asm__("" : "+v"(words.w));
    return words;
  }
};

inline __m512i dot_of(__m512i sum, __m512i x, __m512i w) {
#if defined(__AVX512VNNI__)
  return _mm512_dpwssd_epi32(sum, x, w);
#else
  return _mm512_add_epi32(sum, _mm512_madd_epi16(x, w));
#endif
}

inline Lanes dot(Lanes sum, const SplatWords& x, const WeightWords& w) {
  return {dot_of(sum.x, x.x, w.w)};
}

inline Lanes dot(Lanes sum, const WeightWords& x, const WeightWords& w) {
  return {dot_of(sum.x, w.w, x.w)};  // where x is in memory it stays there
}

#if defined(__AVX512VNNI__)

struct SplatBytes {
  __m512i x;

  static SplatBytes of(const std::uint8_t* from) {
    std::int32_t four;
    __builtin_memcpy(&four, from, sizeof four);
    return {_mm512_set1_epi32(four)};
  }
};

struct WeightBytes {
  __m512i w;

  static WeightBytes load(const std::int8_t* from) { return {_mm512_loadu_si512(from)}; }
};

inline Lanes dot(Lanes sum, const SplatBytes& x, const WeightBytes& w) {
  return {_mm512_dpbusd_epi32(sum.x, x.x, w.w)};
}

#else

// Bytes are multiplied as words, those of even and of odd places: VPMADDUBSW would saturate.
struct SplatBytes {
  __m512i even;
  __m512i odd;

  static SplatBytes of(const std::uint8_t* from) {
    std::int32_t four;
    __builtin_memcpy(&four, from, sizeof four);
    const __m512i x = _mm512_set1_epi32(four);
    return {_mm512_and_si512(x, _mm512_set1_epi16(0xff)), _mm512_srli_epi16(x, 8)};
  }
};

struct WeightBytes {
  __m512i even;
  __m512i odd;

  static WeightBytes load(const std::int8_t* from) {
    const __m512i w = _mm512_loadu_si512(from);
    return {_mm512_srai_epi16(_mm512_slli_epi16(w, 8), 8), _mm512_srai_epi16(w, 8)};
  }
};

inline Lanes dot(Lanes sum, const SplatBytes& x, const WeightBytes& w) {
  return {dot_of(dot_of(sum.x, x.even, w.even), x.odd, w.odd)};
}

#endif

struct Wide {
  __m512i even;
  __m512i odd;

  static Wide load(const std::int64_t* from) {
    return {_mm512_loadu_si512(from), _mm512_loadu_si512(from + kLanes / 2)};
  }
  static Wide splat(std::int64_t value) {
    return {_mm512_set1_epi64(value), _mm512_set1_epi64(value)};
  }
};

inline Wide product(Lanes a, Lanes b) {
  return {_mm512_mul_epi32(a.x, b.x),
          _mm512_mul_epi32(_mm512_srli_epi64(a.x, 32), _mm512_srli_epi64(b.x, 32))};
}

inline Wide operator+(const Wide& a, const Wide& b) {
  return {_mm512_add_epi64(a.even, b.even), _mm512_add_epi64(a.odd, b.odd)};
}

// The upper half of each number.
inline Lanes upper(const Wide& a) {
  return {_mm512_mask_blend_epi32(0xaaaa, _mm512_srli_epi64(a.even, 32), a.odd)};
}

inline Lanes shifted(Lanes value, Lanes shift) { return {_mm512_srav_epi32(value.x, shift.x)}; }

inline Lanes shifted(Lanes value, Lanes shift, Lanes low, Lanes high) {
  return {_mm512_min_epi32(_mm512_max_epi32(_mm512_srav_epi32(value.x, shift.x), low.x), high.x)};
}

inline __m512i shifted_of(__m512i value, __m512i shift, __m512i low, __m512i high) {
  return _mm512_min_epi64(_mm512_max_epi64(_mm512_srav_epi64(value, shift), low), high);
}

inline Lanes shifted(const Wide& value, const Wide& shift, const Wide& low, const Wide& high) {
  const __m512i even = shifted_of(value.even, shift.even, low.even, high.even);
  const __m512i odd = shifted_of(value.odd, shift.odd, low.odd, high.odd);
  return {_mm512_mask_blend_epi32(0xaaaa, even, _mm512_slli_epi64(odd, 32))};
}

}  // namespace
}  // namespace quantlab
