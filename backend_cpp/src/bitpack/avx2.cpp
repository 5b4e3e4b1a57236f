#include <immintrin.h>

#include "bitpack/body.h"

namespace quantlab::bitpack {
namespace {

// Byte indices for pshufb within 16 bytes: pack drops the zeros above kBits bytes of each 64-bit
// lane, unpack puts them back. Indices with the high bit set give 0.
template <int kBits>
struct Shuffle {
  std::uint8_t pack[16] = {};
  std::uint8_t unpack[16] = {};
  constexpr Shuffle() {
    for (int i = 0; i < 16; ++i) pack[i] = unpack[i] = 0x80;
    for (int lane = 0; lane < 2; ++lane) {
      for (int i = 0; i < kBits; ++i) {
        pack[lane * kBits + i] = static_cast<std::uint8_t>(lane * 8 + i);
        unpack[lane * 8 + i] = static_cast<std::uint8_t>(lane * kBits + i);
      }
    }
  }
};

template <int kBits>
constexpr Shuffle<kBits> kShuffle;

__m128i load16(const std::uint8_t* from) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
}

void store16(std::uint8_t* to, __m128i x) { _mm_storeu_si128(reinterpret_cast<__m128i*>(to), x); }

struct Lanes {
  static constexpr std::size_t kCodes = 32;
  // Each half of a register is 16 bytes in memory, of which 2 * kBits count.
  template <int kBits>
  static constexpr std::size_t kExtent = 2 * kBits + 16;

  __m256i x;

  static Lanes all(std::uint64_t mask) {
    return {_mm256_set1_epi64x(static_cast<long long>(mask))};
  }
  friend Lanes operator&(Lanes a, Lanes b) { return {_mm256_and_si256(a.x, b.x)}; }
  friend Lanes operator|(Lanes a, Lanes b) { return {_mm256_or_si256(a.x, b.x)}; }
  template <int kCount>
  static Lanes left(Lanes a) {
    return {_mm256_slli_epi64(a.x, kCount)};
  }
  template <int kCount>
  static Lanes right(Lanes a) {
    return {_mm256_srli_epi64(a.x, kCount)};
  }
  static Lanes load(const std::uint8_t* from) {
    return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from))};
  }
  static void store(std::uint8_t* to, Lanes a) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), a.x);
  }
  static void stream(std::uint8_t* to, Lanes a) {
    _mm256_stream_si256(reinterpret_cast<__m256i*>(to), a.x);
  }
  static void fence() { _mm_sfence(); }
  template <int kBits>
  static Lanes load_packed(const std::uint8_t* from) {
    const __m256i halves =
        _mm256_inserti128_si256(_mm256_castsi128_si256(load16(from)), load16(from + 2 * kBits), 1);
    const __m128i shuffle = load16(kShuffle<kBits>.unpack);
    return {_mm256_shuffle_epi8(halves, _mm256_broadcastsi128_si256(shuffle))};
  }
  static void store_bits(std::uint8_t* to, Lanes a) {
    const int bits = _mm256_movemask_epi8(_mm256_slli_epi64(a.x, 7));
    __builtin_memcpy(to, &bits, 4);
  }
  template <int kBits>
  static void store_packed(std::uint8_t* to, Lanes a) {
    const __m128i shuffle = load16(kShuffle<kBits>.pack);
    const __m256i halves = _mm256_shuffle_epi8(a.x, _mm256_broadcastsi128_si256(shuffle));
    store16(to, _mm256_castsi256_si128(halves));
    store16(to + 2 * kBits, _mm256_extracti128_si256(halves, 1));
  }
};

}  // namespace

const Unit avx2 = {&pack_over<Lanes>, &unpack_over<Lanes>};

}  // namespace quantlab::bitpack
