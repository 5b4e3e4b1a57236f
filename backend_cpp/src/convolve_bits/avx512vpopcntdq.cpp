#include "quantlab/lanes/avx512.h"

#include "convolve_bits/body.h"

namespace quantlab::convolve_bits {
namespace {

struct Avx512 {
  struct Words {
    __m512i below[2];
    __m512i nonzero[2];
  };

  static Words load(const std::uint64_t* from) {
    return {{_mm512_loadu_si512(from), _mm512_loadu_si512(from + 8)},
            {_mm512_loadu_si512(from + 16), _mm512_loadu_si512(from + 24)}};
  }

  struct Counts {
    __m512i all[2];
    __m512i less[2];

    static Counts zero() {
      const __m512i none = _mm512_setzero_si512();
      return {{none, none}, {none, none}};
    }
    void add(std::uint64_t below, std::uint64_t nonzero, const Words& w) {
      const __m512i s = _mm512_set1_epi64(static_cast<long long>(below));
      const __m512i n = _mm512_set1_epi64(static_cast<long long>(nonzero));
#pragma GCC unroll 2
      for (int i = 0; i < 2; ++i) {
        const __m512i both = _mm512_and_si512(n, w.nonzero[i]);
        // both & (s ^ t)
        const __m512i parted = _mm512_ternarylogic_epi64(both, s, w.below[i], 0x60);
        all[i] = _mm512_add_epi64(all[i], _mm512_popcnt_epi64(both));
        less[i] = _mm512_add_epi64(less[i], _mm512_popcnt_epi64(parted));
      }
    }
    Lanes to_sums() const {
      __m256i halves[2];
      for (int i = 0; i < 2; ++i) {
        halves[i] = _mm512_cvtepi64_epi32(_mm512_sub_epi64(all[i], _mm512_slli_epi64(less[i], 1)));
      }
      return {_mm512_inserti64x4(_mm512_castsi256_si512(halves[0]), halves[1], 1)};
    }
  };

  static void pack_word(const std::int8_t* x, std::size_t size, std::uint64_t* below,
                        std::uint64_t* nonzero) {
    const __mmask64 used = size < 64 ? (std::uint64_t{1} << size) - 1 : ~std::uint64_t{0};
    const __m512i bytes = _mm512_maskz_loadu_epi8(used, x);
    *below = _mm512_movepi8_mask(bytes);
    *nonzero = _mm512_test_epi8_mask(bytes, bytes);
  }
};

}  // namespace

const Unit avx512vpopcntdq = {&pack_over<Avx512>, &convolve_over<Avx512>};

}  // namespace quantlab::convolve_bits
