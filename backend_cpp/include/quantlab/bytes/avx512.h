// Sixty-four bytes in one register; see quantlab/bytes/scalar.h. It needs VNNI.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

namespace quantlab {
namespace {

// sum + the products of four bytes in each lane. As an instruction of its own: gcc 12 copies the
// sums of a loop from register to register, and to memory, around the intrinsic.
inline void accumulate(__m512i& sum, __m512i bytes, __m512i signed_bytes) {
  __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(bytes), "v"(signed_bytes));
}

struct Bytes {
  static constexpr std::size_t kLanes = 64;

  __m512i x;

  static Bytes splat(std::uint8_t value) { return {_mm512_set1_epi8(static_cast<char>(value))}; }
  static Bytes load(const std::uint8_t* from) {
    __m512i x = _mm512_loadu_si512(from);
    __asm__("" : "+v"(x));  // read once, not by each instruction that has it as an operand
    return {x};
  }
  static Bytes load(const std::uint8_t* from, std::size_t count) {
    const auto first = static_cast<__mmask64>((std::uint64_t{1} << count) - 1);
    return {_mm512_maskz_loadu_epi8(first, from)};
  }
  Bytes flipped() const { return {_mm512_xor_si512(x, _mm512_set1_epi8(static_cast<char>(0x80)))}; }
};

struct FourWeights {
  __m512i w;

  static FourWeights of(const std::int8_t* from) {
    std::int32_t four;
    __builtin_memcpy(&four, from, sizeof four);
    return {_mm512_set1_epi32(four)};
  }
};

struct Sums {
  static constexpr int kTile = 4;

  __m512i x[4];  // [k]: positions 4k to 4k + 3 of each quarter

  static Sums splat(std::int32_t value) {
    const __m512i a = _mm512_set1_epi32(value);
    return {{a, a, a, a}};
  }
  void add(const Bytes (&four)[4], FourWeights weights) {
    const __m512i low = _mm512_unpacklo_epi8(four[0].x, four[1].x);
    const __m512i high = _mm512_unpackhi_epi8(four[0].x, four[1].x);
    const __m512i other_low = _mm512_unpacklo_epi8(four[2].x, four[3].x);
    const __m512i other_high = _mm512_unpackhi_epi8(four[2].x, four[3].x);
    accumulate(x[0], _mm512_unpacklo_epi16(low, other_low), weights.w);
    accumulate(x[1], _mm512_unpackhi_epi16(low, other_low), weights.w);
    accumulate(x[2], _mm512_unpacklo_epi16(high, other_high), weights.w);
    accumulate(x[3], _mm512_unpackhi_epi16(high, other_high), weights.w);
  }
  void store(float* to, float factor, float bias) const {
    __m512 all[4];
    results(factor, bias, all);
    for (int i = 0; i < 4; ++i) _mm512_storeu_ps(to + 16 * i, all[i]);
  }
  void store(float* to, float factor, float bias, std::size_t count) const {
    __m512 all[4];
    results(factor, bias, all);
    for (std::size_t i = 0; 16 * i < count; ++i) {
      const std::size_t left = count - 16 * i;
      const auto first = static_cast<__mmask16>(left < 16 ? (1u << left) - 1u : 0xffffu);
      _mm512_mask_storeu_ps(to + 16 * i, first, all[i]);
    }
  }

 private:
  void results(float factor, float bias, __m512 (&all)[4]) const {
    const __m512i low = _mm512_shuffle_i32x4(x[0], x[1], 0x44);
    const __m512i high = _mm512_shuffle_i32x4(x[0], x[1], 0xee);
    const __m512i other_low = _mm512_shuffle_i32x4(x[2], x[3], 0x44);
    const __m512i other_high = _mm512_shuffle_i32x4(x[2], x[3], 0xee);
    const __m512i sums[4] = {
        _mm512_shuffle_i32x4(low, other_low, 0x88), _mm512_shuffle_i32x4(low, other_low, 0xdd),
        _mm512_shuffle_i32x4(high, other_high, 0x88), _mm512_shuffle_i32x4(high, other_high, 0xdd)};
    for (int i = 0; i < 4; ++i) {
      const __m512 product = _mm512_mul_ps(_mm512_cvtepi32_ps(sums[i]), _mm512_set1_ps(factor));
      all[i] = _mm512_add_ps(product, _mm512_set1_ps(bias));
    }
  }
};

struct Dot {
  __m512i x;

  static Dot zero() { return {_mm512_setzero_si512()}; }
  void add(Bytes bytes, Bytes signed_bytes) { x = _mm512_dpbusd_epi32(x, bytes.x, signed_bytes.x); }
  std::int32_t sum() const {
    const __m256i eight =
        _mm256_add_epi32(_mm512_castsi512_si256(x), _mm512_extracti64x4_epi64(x, 1));
    const __m128i four =
        _mm_add_epi32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256(eight, 1));
    const __m128i two = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32(two, 0xb1)));
  }
  static void add_eight(const Dot* dots, std::int64_t excess, std::int64_t* sums) {
    const __m256i first = halves(dots);
    const __m256i second = halves(dots + 4);
    const __m256i eight = _mm256_add_epi32(_mm256_permute2x128_si256(first, second, 0x20),
                                           _mm256_permute2x128_si256(first, second, 0x31));
    const __m512i wide = _mm512_sub_epi64(_mm512_cvtepi32_epi64(eight), _mm512_set1_epi64(excess));
    _mm512_storeu_si512(sums, _mm512_add_epi64(_mm512_loadu_si512(sums), wide));
  }

 private:
  // Sums of both, by turns.
  static __m512i pairs(__m512i a, __m512i b) {
    return _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
  }
  // Both halves' sums of four, by turns.
  static __m256i halves(const Dot* dots) {
    const __m512i a = pairs(dots[0].x, dots[1].x);
    const __m512i b = pairs(dots[2].x, dots[3].x);
    const __m512i quarters =
        _mm512_add_epi32(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
    return _mm256_add_epi32(_mm512_castsi512_si256(quarters),
                            _mm512_extracti64x4_epi64(quarters, 1));
  }
};

}  // namespace
}  // namespace quantlab
