#include <immintrin.h>

#include "planes_int8/body.h"

namespace quantlab::planes_int8 {
namespace {

struct Codes {
  static constexpr std::size_t kLanes = 8;

  __m256i x;

  static Codes splat(std::uint32_t value) { return {_mm256_set1_epi32(static_cast<int>(value))}; }
  static Codes counted(std::uint32_t from) {
    const __m256i places = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return {_mm256_add_epi32(_mm256_set1_epi32(static_cast<int>(from)), places)};
  }
  static Codes nearest(const float* from, float scale) {
    return {_mm256_cvtps_epi32(scaled(from, scale))};
  }
  static Codes floored(const float* from, float scale, Codes u) {
    const __m256 part = _mm256_mul_ps(_mm256_cvtepi32_ps(u.x), _mm256_set1_ps(0x1p-24f));
    const __m256 number = _mm256_floor_ps(_mm256_add_ps(scaled(from, scale), part));
    return {_mm256_min_epi32(_mm256_cvttps_epi32(number), _mm256_set1_epi32(127))};
  }
  static void put(const Codes (&fours)[4], std::uint8_t* const* to, std::size_t at) {
    const __m256i low = _mm256_unpacklo_epi32(fours[0].x, fours[1].x);
    const __m256i high = _mm256_unpackhi_epi32(fours[0].x, fours[1].x);
    const __m256i other_low = _mm256_unpacklo_epi32(fours[2].x, fours[3].x);
    const __m256i other_high = _mm256_unpackhi_epi32(fours[2].x, fours[3].x);
    put_halves(_mm256_unpacklo_epi64(low, other_low), to, at);
    put_halves(_mm256_unpackhi_epi64(low, other_low), to + 1, at);
    put_halves(_mm256_unpacklo_epi64(high, other_high), to + 2, at);
    put_halves(_mm256_unpackhi_epi64(high, other_high), to + 3, at);
  }
  void narrow(std::uint8_t* to) const {
    const __m256i lowest =
        _mm256_setr_epi8(0, 4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 0, 4, 8, 12,
                         -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1);
    const __m256i halves = _mm256_shuffle_epi8(x, lowest);
    const __m128i codes =
        _mm_unpacklo_epi32(_mm256_castsi256_si128(halves), _mm256_extracti128_si256(halves, 1));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(to), codes);
  }

 private:
  static __m256 scaled(const float* from, float scale) {
    const __m256 number = _mm256_div_ps(_mm256_loadu_ps(from), _mm256_set1_ps(scale));
    return _mm256_min_ps(_mm256_max_ps(number, _mm256_set1_ps(-127)), _mm256_set1_ps(127));
  }
  static void put_halves(__m256i all, std::uint8_t* const* to, std::size_t at) {
    put_one(_mm256_castsi256_si128(all), to[0], at);
    put_one(_mm256_extracti128_si256(all, 1), to[4], at);
  }
  static void put_one(__m128i codes, std::uint8_t* to, std::size_t at) {
    if (to != nullptr) _mm_storeu_si128(reinterpret_cast<__m128i*>(to + at), codes);
  }
};

inline Codes operator+(Codes a, Codes b) { return {_mm256_add_epi32(a.x, b.x)}; }
inline Codes operator*(Codes a, Codes b) { return {_mm256_mullo_epi32(a.x, b.x)}; }
inline Codes operator^(Codes a, Codes b) { return {_mm256_xor_si256(a.x, b.x)}; }
inline Codes operator<<(Codes a, int n) { return {_mm256_slli_epi32(a.x, n)}; }
inline Codes operator>>(Codes a, int n) { return {_mm256_srli_epi32(a.x, n)}; }

}  // namespace

const Unit avx2 = unit_of<Codes>();

}  // namespace quantlab::planes_int8
