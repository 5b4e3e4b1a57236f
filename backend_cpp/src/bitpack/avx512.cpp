#include <immintrin.h>

#include "bitpack/body.h"

namespace quantlab::bitpack {
namespace {

// Indices in two steps. Bytes within 16: drop or restore the zeros above kBits bytes of each 64-bit
// lane (indices with the high bit set give 0). Words within 64 bytes: join or spread the kBits
// words that each quarter of the register then holds.
template <int kBits>
struct Shuffle {
  std::uint8_t pack_bytes[16] = {};
  std::uint8_t unpack_bytes[16] = {};
  std::uint16_t pack_words[32] = {};
  std::uint16_t unpack_words[32] = {};
  constexpr Shuffle() {
    for (int i = 0; i < 16; ++i) pack_bytes[i] = unpack_bytes[i] = 0x80;
    for (int lane = 0; lane < 2; ++lane) {
      for (int i = 0; i < kBits; ++i) {
        pack_bytes[lane * kBits + i] = static_cast<std::uint8_t>(lane * 8 + i);
        unpack_bytes[lane * 8 + i] = static_cast<std::uint8_t>(lane * kBits + i);
      }
    }
    for (int quarter = 0; quarter < 4; ++quarter) {
      for (int i = 0; i < kBits; ++i) {
        pack_words[quarter * kBits + i] = static_cast<std::uint16_t>(quarter * 8 + i);
        unpack_words[quarter * 8 + i] = static_cast<std::uint16_t>(quarter * kBits + i);
      }
    }
  }
};

template <int kBits>
constexpr Shuffle<kBits> kShuffle;

__m512i spread(const std::uint8_t (&bytes)[16]) {
  return _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes)));
}

struct Lanes {
  static constexpr std::size_t kCodes = 64;
  // Whole registers rather than masks: masked loads halved the speed beyond the caches (Zen 5), as
  // if the processor did not fetch ahead of them.
  template <int kBits>
  static constexpr std::size_t kExtent = 64;

  __m512i x;

  static Lanes all(std::uint64_t mask) { return {_mm512_set1_epi64(static_cast<long long>(mask))}; }
  friend Lanes operator&(Lanes a, Lanes b) { return {_mm512_and_si512(a.x, b.x)}; }
  friend Lanes operator|(Lanes a, Lanes b) { return {_mm512_or_si512(a.x, b.x)}; }
  template <int kCount>
  static Lanes left(Lanes a) {
    return {_mm512_slli_epi64(a.x, kCount)};
  }
  template <int kCount>
  static Lanes right(Lanes a) {
    return {_mm512_srli_epi64(a.x, kCount)};
  }
  static Lanes load(const std::uint8_t* from) { return {_mm512_loadu_si512(from)}; }
  static void store(std::uint8_t* to, Lanes a) { _mm512_storeu_si512(to, a.x); }
  static void stream(std::uint8_t* to, Lanes a) {
    _mm512_stream_si512(reinterpret_cast<__m512i*>(to), a.x);
  }
  static void fence() { _mm_sfence(); }
  template <int kBits>
  static Lanes load_packed(const std::uint8_t* from) {
    const __m512i words = _mm512_loadu_si512(kShuffle<kBits>.unpack_words);
    const __m512i dense = _mm512_loadu_si512(from);
    return {_mm512_shuffle_epi8(_mm512_permutexvar_epi16(words, dense),
                                spread(kShuffle<kBits>.unpack_bytes))};
  }
  static void store_bits(std::uint8_t* to, Lanes a) {
    const __mmask64 bits = _mm512_test_epi8_mask(a.x, a.x);
    __builtin_memcpy(to, &bits, 8);
  }
  template <int kBits>
  static void store_packed(std::uint8_t* to, Lanes a) {
    const __m512i words = _mm512_loadu_si512(kShuffle<kBits>.pack_words);
    const __m512i quarters = _mm512_shuffle_epi8(a.x, spread(kShuffle<kBits>.pack_bytes));
    _mm512_storeu_si512(to, _mm512_permutexvar_epi16(words, quarters));
  }
};

}  // namespace

const Unit avx512 = {&pack_over<Lanes>, &unpack_over<Lanes>};

}  // namespace quantlab::bitpack
