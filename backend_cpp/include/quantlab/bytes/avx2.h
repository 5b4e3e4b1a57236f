// Thirty-two bytes in one register; see quantlab/bytes/scalar.h. Bytes are multiplied as words,
// those of even and of odd places: VPMADDUBSW would saturate.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

namespace quantlab {
namespace {

struct Bytes {
  static constexpr std::size_t kLanes = 32;

  __m256i x;

  static Bytes splat(std::uint8_t value) { return {_mm256_set1_epi8(static_cast<char>(value))}; }
  static Bytes load(const std::uint8_t* from) {
    return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from))};
  }
  static Bytes load(const std::uint8_t* from, std::size_t count) {
    std::uint8_t padded[kLanes] = {};
    for (std::size_t i = 0; i < count; ++i) padded[i] = from[i];
    return load(padded);
  }
  Bytes flipped() const { return {_mm256_xor_si256(x, _mm256_set1_epi8(static_cast<char>(0x80)))}; }
  __m256i even() const { return _mm256_and_si256(x, _mm256_set1_epi16(0xff)); }
  __m256i odd() const { return _mm256_srli_epi16(x, 8); }
  __m256i signed_even() const { return _mm256_srai_epi16(_mm256_slli_epi16(x, 8), 8); }
  __m256i signed_odd() const { return _mm256_srai_epi16(x, 8); }
};

inline __m256i dot_of(__m256i sum, const Bytes& bytes, const Bytes& signed_bytes) {
  const __m256i even = _mm256_madd_epi16(bytes.even(), signed_bytes.signed_even());
  const __m256i odd = _mm256_madd_epi16(bytes.odd(), signed_bytes.signed_odd());
  return _mm256_add_epi32(sum, _mm256_add_epi32(even, odd));
}

struct FourWeights {
  Bytes w;

  static FourWeights of(const std::int8_t* from) {
    std::int32_t four;
    __builtin_memcpy(&four, from, sizeof four);
    return {{_mm256_set1_epi32(four)}};
  }
};

struct Sums {
  static constexpr int kTile = 2;

  __m256i x[4];  // [k]: positions 4k to 4k + 3 of each half

  static Sums splat(std::int32_t value) {
    const __m256i a = _mm256_set1_epi32(value);
    return {{a, a, a, a}};
  }
  void add(const Bytes (&four)[4], const FourWeights& weights) {
    const __m256i low = _mm256_unpacklo_epi8(four[0].x, four[1].x);
    const __m256i high = _mm256_unpackhi_epi8(four[0].x, four[1].x);
    const __m256i other_low = _mm256_unpacklo_epi8(four[2].x, four[3].x);
    const __m256i other_high = _mm256_unpackhi_epi8(four[2].x, four[3].x);
    x[0] = dot_of(x[0], {_mm256_unpacklo_epi16(low, other_low)}, weights.w);
    x[1] = dot_of(x[1], {_mm256_unpackhi_epi16(low, other_low)}, weights.w);
    x[2] = dot_of(x[2], {_mm256_unpacklo_epi16(high, other_high)}, weights.w);
    x[3] = dot_of(x[3], {_mm256_unpackhi_epi16(high, other_high)}, weights.w);
  }
  void store(float* to, float factor, float bias) const {
    for (int i = 0; i < 4; ++i) _mm256_storeu_ps(to + 8 * i, results(i, factor, bias));
  }
  void store(float* to, float factor, float bias, std::size_t count) const {
    float all[Bytes::kLanes];
    store(all, factor, bias);
    for (std::size_t i = 0; i < count; ++i) to[i] = all[i];
  }

 private:
  // Those of positions 8i to 8i + 7.
  __m256 results(int i, float factor, float bias) const {
    const __m256i first = x[i % 2 * 2];
    const __m256i second = x[i % 2 * 2 + 1];
    const __m256i sums = i < 2 ? _mm256_permute2x128_si256(first, second, 0x20)
                               : _mm256_permute2x128_si256(first, second, 0x31);
    const __m256 product = _mm256_mul_ps(_mm256_cvtepi32_ps(sums), _mm256_set1_ps(factor));
    return _mm256_add_ps(product, _mm256_set1_ps(bias));
  }
};

struct Dot {
  __m256i x;

  static Dot zero() { return {_mm256_setzero_si256()}; }
  void add(const Bytes& bytes, const Bytes& signed_bytes) { x = dot_of(x, bytes, signed_bytes); }
  std::int32_t sum() const {
    const __m128i four = _mm_add_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
    const __m128i two = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32(two, 0xb1)));
  }
  static void add_eight(const Dot* dots, std::int64_t excess, std::int64_t* sums) {
    add_four(dots, excess, sums);
    add_four(dots + 4, excess, sums + 4);
  }

 private:
  static void add_four(const Dot* dots, std::int64_t excess, std::int64_t* sums) {
    const __m256i both = _mm256_hadd_epi32(_mm256_hadd_epi32(dots[0].x, dots[1].x),
                                           _mm256_hadd_epi32(dots[2].x, dots[3].x));
    const __m128i four =
        _mm_add_epi32(_mm256_castsi256_si128(both), _mm256_extracti128_si256(both, 1));
    const __m256i wide = _mm256_sub_epi64(_mm256_cvtepi32_epi64(four), _mm256_set1_epi64x(excess));
    auto* to = reinterpret_cast<__m256i*>(sums);
    _mm256_storeu_si256(to, _mm256_add_epi64(_mm256_loadu_si256(to), wide));
  }
};

}  // namespace
}  // namespace quantlab
