#include "quantlab/floats/avx512.h"

namespace quantlab::factored_bf16 {
namespace {

// The tiles of the processor; see factored_bf16/body.h. Each statement says that it touches memory,
// so that none moves over what is written before or read behind it. Tiles 0 to 5 are sums, 6
// numbers and 7 weights.
class Tiles {
 public:
  Tiles() {
    Shapes shapes{};
    shapes.palette = 1;
    for (int tile = 0; tile < 8; ++tile) {
      shapes.row_bytes[tile] = 64;
      shapes.num_rows[tile] = 16;
    }
    __asm__ volatile("ldtilecfg %0" : : "m"(shapes) : "memory");
  }
  void release() { __asm__ volatile("tilerelease" : : : "memory"); }

  template <int kTile>
  void zero() {
    __asm__ volatile("tilezero %%tmm%c0" : : "i"(kTile) : "memory");
  }
  template <int kTile>
  void store(float* to, std::size_t step) const {
    __asm__ volatile("tilestored %%tmm%c0, (%1,%2,1)"
                     :
                     : "i"(kTile), "r"(to), "r"(step * sizeof(float))
                     : "memory");
  }
  void load_x(const std::uint16_t* from, std::size_t step) {
    __asm__ volatile("tileloadd (%0,%1,1), %%tmm6"
                     :
                     : "r"(from), "r"(step * sizeof(std::uint16_t))
                     : "memory");
  }
  void load_weights(const std::uint16_t* from) {
    __asm__ volatile("tileloadd (%0,%1,1), %%tmm7" : : "r"(from), "r"(std::size_t{64}) : "memory");
  }
  template <int kTile>
  void add_products() {
    __asm__ volatile("tdpbf16ps %%tmm7, %%tmm6, %%tmm%c0" : : "i"(kTile) : "memory");
  }

  static void round(Floats x, std::uint16_t* to) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to),
                        reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(x.x)));
  }
  static void round(Floats x, Floats next, std::uint16_t* to) {
    _mm512_storeu_si512(to, reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(next.x, x.x)));
  }
  static void round_pairs(Floats even, Floats odd, std::uint16_t* to) {
    const __m512i low = widened(_mm512_cvtneps_pbh(even.x));
    const __m512i high = widened(_mm512_cvtneps_pbh(odd.x));
    _mm512_storeu_si512(to, _mm512_or_si512(low, _mm512_slli_epi32(high, 16)));
  }

 private:
  struct alignas(64) Shapes {
    std::uint8_t palette;
    std::uint8_t start_row;
    std::uint8_t reserved[14];
    std::uint16_t row_bytes[16];
    std::uint8_t num_rows[16];
  };

  static __m512i widened(__m256bh halves) {
    return _mm512_cvtepu16_epi32(reinterpret_cast<__m256i>(halves));
  }
};

}  // namespace
}  // namespace quantlab::factored_bf16

#include "factored_bf16/body.h"

namespace quantlab::factored_bf16 {

const Unit amx_bf16 = {&factored::expand_over,   &pack_over,
                       &multiply_over,           &factored::multiply_channels_over,
                       &factored::max_pool_over, &factored::average_pool_over,
                       &factored::add_over,      &factored::peak_of};

}  // namespace quantlab::factored_bf16
