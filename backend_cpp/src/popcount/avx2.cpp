#include <immintrin.h>

#include "popcount/body.h"

namespace quantlab::popcount {
namespace {

struct Lanes {
  static constexpr std::size_t kWords = 4;

  __m256i x;

  static Lanes zero() { return {_mm256_setzero_si256()}; }
  friend Lanes operator+(Lanes a, Lanes b) { return {_mm256_add_epi64(a.x, b.x)}; }
  static Lanes load(const std::uint64_t* from) {
    return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from))};
  }
  static Lanes load_some(const std::uint64_t* from, std::size_t count) {
    const __m256i lane = _mm256_setr_epi64x(0, 1, 2, 3);
    const __m256i used =
        _mm256_cmpgt_epi64(_mm256_set1_epi64x(static_cast<long long>(count)), lane);
    return {_mm256_maskload_epi64(reinterpret_cast<const long long*>(from), used)};
  }
};

// A table of 16 entries looked up for each half byte; sad adds the bytes of a lane.
Lanes bits(Lanes a) {
  const __m256i counts = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4,  //
                                          0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
  const __m256i half = _mm256_set1_epi8(0x0f);
  const __m256i low = _mm256_shuffle_epi8(counts, _mm256_and_si256(a.x, half));
  const __m256i high =
      _mm256_shuffle_epi8(counts, _mm256_and_si256(_mm256_srli_epi64(a.x, 4), half));
  return {_mm256_sad_epu8(_mm256_add_epi8(low, high), _mm256_setzero_si256())};
}

std::int64_t sum(Lanes a) {
  const __m128i two = _mm_add_epi64(_mm256_castsi256_si128(a.x), _mm256_extracti128_si256(a.x, 1));
  return _mm_cvtsi128_si64(two) + _mm_extract_epi64(two, 1);
}

}  // namespace

const Unit avx2 = {&popcount_over<Lanes>};

}  // namespace quantlab::popcount
