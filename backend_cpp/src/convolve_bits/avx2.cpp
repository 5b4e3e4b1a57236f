#include "quantlab/lanes/avx2.h"

#include "convolve_bits/body.h"

namespace quantlab::convolve_bits {
namespace {

// Counts of bits in each byte: a table of 16 entries looked up for each half.
__m256i counts_of(__m256i x) {
  const __m256i counts = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4,  //
                                          0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
  const __m256i half = _mm256_set1_epi8(0x0f);
  const __m256i low = _mm256_shuffle_epi8(counts, _mm256_and_si256(x, half));
  const __m256i high = _mm256_shuffle_epi8(counts, _mm256_and_si256(_mm256_srli_epi64(x, 4), half));
  return _mm256_add_epi8(low, high);
}

struct Avx2 {
  struct Words {
    const std::uint64_t* words;
  };

  static Words load(const std::uint64_t* from) { return {from}; }

  struct Counts {
    __m256i x[4];

    static Counts zero() {
      const __m256i none = _mm256_setzero_si256();
      return {{none, none, none, none}};
    }
    void add(std::uint64_t below, std::uint64_t nonzero, const Words& w) {
      const __m256i none = _mm256_setzero_si256();
      const __m256i s = _mm256_set1_epi64x(static_cast<long long>(below));
      const __m256i n = _mm256_set1_epi64x(static_cast<long long>(nonzero));
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) {
        const __m256i t = _mm256_loadu_si256(as_256(w.words + 4 * i));
        const __m256i both =
            _mm256_and_si256(n, _mm256_loadu_si256(as_256(w.words + kLanes + 4 * i)));
        const __m256i less = counts_of(_mm256_and_si256(both, _mm256_xor_si256(s, t)));
        const __m256i all = _mm256_sad_epu8(counts_of(both), none);
        const __m256i twice = _mm256_slli_epi64(_mm256_sad_epu8(less, none), 1);
        x[i] = _mm256_add_epi64(x[i], _mm256_sub_epi64(all, twice));
      }
    }
    Lanes to_sums() const {
      const __m256i even = _mm256_setr_epi32(0, 2, 4, 6, 0, 2, 4, 6);
      __m256i low[4];
      for (int i = 0; i < 4; ++i) low[i] = _mm256_permutevar8x32_epi32(x[i], even);
      return {_mm256_blend_epi32(low[0], low[1], 0xf0), _mm256_blend_epi32(low[2], low[3], 0xf0)};
    }
  };

  static void pack_word(const std::int8_t* x, std::size_t size, std::uint64_t* below,
                        std::uint64_t* nonzero) {
    alignas(32) std::int8_t padded[64] = {};
    if (size < 64) {
      for (std::size_t i = 0; i < size; ++i) padded[i] = x[i];
      x = padded;
    }
    std::uint64_t s = 0;
    std::uint64_t n = 0;
    for (int half = 0; half < 2; ++half) {
      const __m256i bytes = _mm256_loadu_si256(as_256(x + 32 * half));
      const __m256i zero = _mm256_cmpeq_epi8(bytes, _mm256_setzero_si256());
      const auto signs = static_cast<std::uint32_t>(_mm256_movemask_epi8(bytes));
      const auto zeros = static_cast<std::uint32_t>(_mm256_movemask_epi8(zero));
      s |= static_cast<std::uint64_t>(signs) << (32 * half);
      n |= static_cast<std::uint64_t>(~zeros) << (32 * half);
    }
    *below = s;
    *nonzero = n;
  }
};

}  // namespace

const Unit avx2 = {&pack_over<Avx2>, &convolve_over<Avx2>};

}  // namespace quantlab::convolve_bits
