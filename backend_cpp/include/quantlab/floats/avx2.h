// Eight floats in one register; see quantlab/floats/scalar.h.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "quantlab/half.h"

namespace quantlab {
namespace {

struct Floats {
  using Number = float;
  static constexpr std::size_t kLanes = 8;
  static constexpr std::size_t kMostProducts = 0;

  __m256 x;

  struct Factors {
    const float* values;

    Factors(const float* from, std::size_t) : values(from) {}
    Floats operator[](std::size_t i) const { return splat(values[i]); }
  };

  static Floats zero() { return {_mm256_setzero_ps()}; }
  static Floats splat(float value) { return {_mm256_set1_ps(value)}; }
  static Floats load(const float* from) { return {_mm256_loadu_ps(from)}; }
  static Floats load(const float* from, std::size_t count) {
    return {_mm256_maskload_ps(from, first(count))};
  }
  // One by one: for whole vectors the instruction takes 1.4 times as long on AMD's Zen 5, and 0.6
  // to 1 times on an Intel Xeon.
  static Floats gather(const float* from, const std::int32_t* places) {
    return {_mm256_setr_ps(from[places[0]], from[places[1]], from[places[2]], from[places[3]],
                           from[places[4]], from[places[5]], from[places[6]], from[places[7]])};
  }
  static Floats gather(const float* from, const std::int32_t* places, std::size_t count) {
    const __m256i used = first(count);
    return {_mm256_mask_i32gather_ps(_mm256_setzero_ps(), from, _mm256_maskload_epi32(places, used),
                                     _mm256_castsi256_ps(used), sizeof(float))};
  }
  static Floats load(const std::int8_t* from) {
    const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(from));
    return {_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes))};
  }
  static Floats load(const std::int16_t* from) {
    const __m128i words = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
    return {_mm256_cvtepi32_ps(_mm256_cvtepi16_epi32(words))};
  }
  static Floats load(const Half* from) {
    return {_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)))};
  }
  static Floats load(const Half* from, std::size_t count) {
    Half padded[kLanes] = {};
    for (std::size_t i = 0; i < count; ++i) padded[i] = from[i];
    return load(padded);
  }
  void store(float* to) const { _mm256_storeu_ps(to, x); }
  void store(float* to, std::size_t count) const { _mm256_maskstore_ps(to, first(count), x); }
  void store(Half* to) const {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT));
  }
  void store_above(float start, float* to) const { plus(splat(start)).store(to); }
  void store_above(float start, float* to, std::size_t count) const {
    plus(splat(start)).store(to, count);
  }
  void add_to(float* to) const { plus(load(to)).store(to); }
  void add_to(float* to, std::size_t count) const { plus(load(to, count)).store(to, count); }
  Floats times(Floats a) const { return {_mm256_mul_ps(x, a.x)}; }
  Floats plus(Floats a) const { return {_mm256_add_ps(x, a.x)}; }
  // The instructions return their second operand if one is no number.
  Floats clamped(Floats low, Floats high) const {
    return {_mm256_min_ps(high.x, _mm256_max_ps(low.x, x))};
  }
  Floats larger(Floats a) const {
    return {_mm256_blendv_ps(_mm256_max_ps(x, a.x), x, _mm256_cmp_ps(x, x, _CMP_UNORD_Q))};
  }
  void add_product(Floats a, Floats b) { x = _mm256_fmadd_ps(a.x, b.x, x); }
  static void four_sums(Floats a, Floats b, Floats c, Floats d, float* totals, std::size_t count) {
    const __m256 both = _mm256_hadd_ps(_mm256_hadd_ps(a.x, b.x), _mm256_hadd_ps(c.x, d.x));
    const __m128 sums = _mm_add_ps(_mm256_castps256_ps128(both), _mm256_extractf128_ps(both, 1));
    if (count >= 4) {
      _mm_storeu_ps(totals, _mm_add_ps(_mm_loadu_ps(totals), sums));
      return;
    }
    const __m128i place = _mm_setr_epi32(0, 1, 2, 3);
    const __m128i used = _mm_cmpgt_epi32(_mm_set1_epi32(static_cast<int>(count)), place);
    _mm_maskstore_ps(totals, used, _mm_add_ps(_mm_maskload_ps(totals, used), sums));
  }
  static void transpose(Floats (&rows)[kLanes]) {
    __m256 pairs[8];
    for (int i = 0; i < 8; i += 2) {
      pairs[i] = _mm256_unpacklo_ps(rows[i].x, rows[i + 1].x);
      pairs[i + 1] = _mm256_unpackhi_ps(rows[i].x, rows[i + 1].x);
    }
    __m256 fours[8];
    for (int i = 0; i < 8; i += 4) {
      fours[i] = _mm256_shuffle_ps(pairs[i], pairs[i + 2], 0x44);
      fours[i + 1] = _mm256_shuffle_ps(pairs[i], pairs[i + 2], 0xee);
      fours[i + 2] = _mm256_shuffle_ps(pairs[i + 1], pairs[i + 3], 0x44);
      fours[i + 3] = _mm256_shuffle_ps(pairs[i + 1], pairs[i + 3], 0xee);
    }
    for (int i = 0; i < 4; ++i) {
      rows[i].x = _mm256_permute2f128_ps(fours[i], fours[i + 4], 0x20);
      rows[i + 4].x = _mm256_permute2f128_ps(fours[i], fours[i + 4], 0x31);
    }
  }

 private:
  static __m256i first(std::size_t count) {
    const __m256i place = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(count)), place);
  }
};

}  // namespace
}  // namespace quantlab
