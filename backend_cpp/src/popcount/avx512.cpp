#include <immintrin.h>

#include "popcount/body.h"

namespace quantlab::popcount {
namespace {

struct Lanes {
  static constexpr std::size_t kWords = 8;

  __m512i x;

  static Lanes zero() { return {_mm512_setzero_si512()}; }
  friend Lanes operator+(Lanes a, Lanes b) { return {_mm512_add_epi64(a.x, b.x)}; }
  static Lanes load(const std::uint64_t* from) { return {_mm512_loadu_si512(from)}; }
  static Lanes load_some(const std::uint64_t* from, std::size_t count) {
    return {_mm512_maskz_loadu_epi64(static_cast<__mmask8>((1u << count) - 1), from)};
  }
};

// A table of 16 entries looked up for each half byte; sad adds the bytes of a lane.
Lanes bits(Lanes a) {
  const __m512i counts =
      _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4));
  const __m512i half = _mm512_set1_epi8(0x0f);
  const __m512i low = _mm512_shuffle_epi8(counts, _mm512_and_si512(a.x, half));
  const __m512i high =
      _mm512_shuffle_epi8(counts, _mm512_and_si512(_mm512_srli_epi64(a.x, 4), half));
  return {_mm512_sad_epu8(_mm512_add_epi8(low, high), _mm512_setzero_si512())};
}

std::int64_t sum(Lanes a) { return _mm512_reduce_add_epi64(a.x); }

}  // namespace

const Unit avx512 = {&popcount_over<Lanes>};

}  // namespace quantlab::popcount
