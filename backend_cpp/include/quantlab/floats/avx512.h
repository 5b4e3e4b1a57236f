// Sixteen floats in one register; see quantlab/floats/scalar.h.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "quantlab/half.h"

namespace quantlab {
namespace {

struct Floats {
  using Number = float;
  static constexpr std::size_t kLanes = 16;
  static constexpr std::size_t kMostProducts = 0;

  __m512 x;

  struct Factors {
    const float* values;

    Factors(const float* from, std::size_t) : values(from) {}
    Floats operator[](std::size_t i) const { return splat(values[i]); }
  };

  static Floats zero() { return {_mm512_setzero_ps()}; }
  static Floats splat(float value) { return {_mm512_set1_ps(value)}; }
  static Floats load(const float* from) { return {_mm512_loadu_ps(from)}; }
  static Floats load(const float* from, std::size_t count) {
    return {_mm512_maskz_loadu_ps(first(count), from)};
  }
  static Floats load(const std::int8_t* from) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
    return {_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes))};
  }
  static Floats load(const std::int16_t* from) {
    const __m256i words = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
    return {_mm512_cvtepi32_ps(_mm512_cvtepi16_epi32(words))};
  }
  static Floats load(const Half* from) {
    return {_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)))};
  }
  static Floats load(const Half* from, std::size_t count) {
    return {_mm512_cvtph_ps(_mm256_maskz_loadu_epi16(first(count), from))};
  }
  // Eight floats, twice.
  static Floats load_twice(const float* from) {
    return {_mm512_broadcast_f32x8(_mm256_loadu_ps(from))};
  }
  // The lower half of this, and that of a or the upper one of a behind it.
  Floats with_lower(Floats a) const { return {_mm512_shuffle_f32x4(x, a.x, 0x44)}; }
  Floats with_upper(Floats a) const { return {_mm512_mask_mov_ps(x, 0xff00, a.x)}; }
  // The upper half, twice.
  Floats upper() const { return {_mm512_shuffle_f32x4(x, x, 0xee)}; }
  void store(float* to) const { _mm512_storeu_ps(to, x); }
  void store(float* to, std::size_t count) const { _mm512_mask_storeu_ps(to, first(count), x); }
  void store(Half* to) const {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to),
                        _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT));
  }
  void store_above(float start, float* to) const { plus(splat(start)).store(to); }
  void store_above(float start, float* to, std::size_t count) const {
    plus(splat(start)).store(to, count);
  }
  void add_to(float* to) const { plus(load(to)).store(to); }
  void add_to(float* to, std::size_t count) const { plus(load(to, count)).store(to, count); }
  Floats times(Floats a) const { return {_mm512_mul_ps(x, a.x)}; }
  Floats plus(Floats a) const { return {_mm512_add_ps(x, a.x)}; }
  // The instructions return their second operand if one is no number.
  Floats clamped(Floats low, Floats high) const {
    return {_mm512_min_ps(high.x, _mm512_max_ps(low.x, x))};
  }
  Floats larger(Floats a) const {
    return {_mm512_mask_mov_ps(_mm512_max_ps(x, a.x), _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q), x)};
  }
  void add_product(Floats a, Floats b) { x = _mm512_fmadd_ps(a.x, b.x, x); }
  static void four_sums(Floats a, Floats b, Floats c, Floats d, float* totals, std::size_t count) {
    // Pairs, then fours of neighbors: each quarter has one sum of a, b, c and d.
    const __m512 ab = _mm512_add_ps(_mm512_unpacklo_ps(a.x, b.x), _mm512_unpackhi_ps(a.x, b.x));
    const __m512 cd = _mm512_add_ps(_mm512_unpacklo_ps(c.x, d.x), _mm512_unpackhi_ps(c.x, d.x));
    const __m512 quarters =
        _mm512_add_ps(_mm512_shuffle_ps(ab, cd, 0x44), _mm512_shuffle_ps(ab, cd, 0xee));
    const __m256 halves =
        _mm256_add_ps(_mm512_castps512_ps256(quarters), _mm512_extractf32x8_ps(quarters, 1));
    const __m128 sums =
        _mm_add_ps(_mm256_castps256_ps128(halves), _mm256_extractf128_ps(halves, 1));
    if (count >= 4) {
      _mm_storeu_ps(totals, _mm_add_ps(_mm_loadu_ps(totals), sums));
      return;
    }
    const auto used = static_cast<__mmask8>((1u << count) - 1u);
    _mm_mask_storeu_ps(totals, used, _mm_add_ps(_mm_maskz_loadu_ps(used, totals), sums));
  }
  static void transpose(Floats (&rows)[kLanes]) {
    __m512 pairs[16];
#pragma GCC unroll 8
    for (int i = 0; i < 16; i += 2) {
      pairs[i] = _mm512_unpacklo_ps(rows[i].x, rows[i + 1].x);
      pairs[i + 1] = _mm512_unpackhi_ps(rows[i].x, rows[i + 1].x);
    }
    __m512 fours[16];  // [i + k]: number k of each quarter, of four rows
#pragma GCC unroll 4
    for (int i = 0; i < 16; i += 4) {
      fours[i] = _mm512_shuffle_ps(pairs[i], pairs[i + 2], 0x44);
      fours[i + 1] = _mm512_shuffle_ps(pairs[i], pairs[i + 2], 0xee);
      fours[i + 2] = _mm512_shuffle_ps(pairs[i + 1], pairs[i + 3], 0x44);
      fours[i + 3] = _mm512_shuffle_ps(pairs[i + 1], pairs[i + 3], 0xee);
    }
    // Quarters q of the four groups of rows come together.
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k) {
      const __m512 low = _mm512_shuffle_f32x4(fours[k], fours[k + 4], 0x88);
      const __m512 high = _mm512_shuffle_f32x4(fours[k + 8], fours[k + 12], 0x88);
      const __m512 low_odd = _mm512_shuffle_f32x4(fours[k], fours[k + 4], 0xdd);
      const __m512 high_odd = _mm512_shuffle_f32x4(fours[k + 8], fours[k + 12], 0xdd);
      rows[k].x = _mm512_shuffle_f32x4(low, high, 0x88);
      rows[k + 8].x = _mm512_shuffle_f32x4(low, high, 0xdd);
      rows[k + 4].x = _mm512_shuffle_f32x4(low_odd, high_odd, 0x88);
      rows[k + 12].x = _mm512_shuffle_f32x4(low_odd, high_odd, 0xdd);
    }
  }

 private:
  static __mmask16 first(std::size_t count) { return static_cast<__mmask16>((1u << count) - 1u); }
};

}  // namespace
}  // namespace quantlab
