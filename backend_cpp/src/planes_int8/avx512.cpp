#include <immintrin.h>

#include "planes_int8/body.h"

namespace quantlab::planes_int8 {
namespace {

struct Codes {
  static constexpr std::size_t kLanes = 16;

  __m512i x;

  static Codes splat(std::uint32_t value) { return {_mm512_set1_epi32(static_cast<int>(value))}; }
  static Codes counted(std::uint32_t from) {
    const __m512i places = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    return {_mm512_add_epi32(_mm512_set1_epi32(static_cast<int>(from)), places)};
  }
  static Codes nearest(const float* from, float scale) {
    return {_mm512_cvtps_epi32(scaled(from, scale))};
  }
  static Codes floored(const float* from, float scale, Codes u) {
    const __m512 part = _mm512_mul_ps(_mm512_cvtepi32_ps(u.x), _mm512_set1_ps(0x1p-24f));
    const __m512 number = _mm512_add_ps(scaled(from, scale), part);
    constexpr int kDown = _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC;
    return {_mm512_min_epi32(_mm512_cvt_roundps_epi32(number, kDown), _mm512_set1_epi32(127))};
  }
  static void put(const Codes (&fours)[4], std::uint8_t* const* to, std::size_t at) {
    const __m512i low = _mm512_unpacklo_epi32(fours[0].x, fours[1].x);
    const __m512i high = _mm512_unpackhi_epi32(fours[0].x, fours[1].x);
    const __m512i other_low = _mm512_unpacklo_epi32(fours[2].x, fours[3].x);
    const __m512i other_high = _mm512_unpackhi_epi32(fours[2].x, fours[3].x);
    put_quarters(_mm512_unpacklo_epi64(low, other_low), to, at);
    put_quarters(_mm512_unpackhi_epi64(low, other_low), to + 1, at);
    put_quarters(_mm512_unpacklo_epi64(high, other_high), to + 2, at);
    put_quarters(_mm512_unpackhi_epi64(high, other_high), to + 3, at);
  }
  void narrow(std::uint8_t* to) const {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm512_cvtepi32_epi8(x));
  }

 private:
  static __m512 scaled(const float* from, float scale) {
    const __m512 number = _mm512_div_ps(_mm512_loadu_ps(from), _mm512_set1_ps(scale));
    return _mm512_min_ps(_mm512_max_ps(number, _mm512_set1_ps(-127)), _mm512_set1_ps(127));
  }
  static void put_quarters(__m512i all, std::uint8_t* const* to, std::size_t at) {
    put_one(_mm512_castsi512_si128(all), to[0], at);
    put_one(_mm512_extracti32x4_epi32(all, 1), to[4], at);
    put_one(_mm512_extracti32x4_epi32(all, 2), to[8], at);
    put_one(_mm512_extracti32x4_epi32(all, 3), to[12], at);
  }
  static void put_one(__m128i codes, std::uint8_t* to, std::size_t at) {
    if (to != nullptr) _mm_storeu_si128(reinterpret_cast<__m128i*>(to + at), codes);
  }
};

inline Codes operator+(Codes a, Codes b) { return {_mm512_add_epi32(a.x, b.x)}; }
inline Codes operator*(Codes a, Codes b) { return {_mm512_mullo_epi32(a.x, b.x)}; }
inline Codes operator^(Codes a, Codes b) { return {_mm512_xor_si512(a.x, b.x)}; }
inline Codes operator<<(Codes a, int n) {
  return {_mm512_slli_epi32(a.x, static_cast<unsigned>(n))};
}
inline Codes operator>>(Codes a, int n) {
  return {_mm512_srli_epi32(a.x, static_cast<unsigned>(n))};
}

}  // namespace

const Unit avx512 = unit_of<Codes>();

}  // namespace quantlab::planes_int8
