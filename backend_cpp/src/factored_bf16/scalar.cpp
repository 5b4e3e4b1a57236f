#include "quantlab/floats/scalar.h"

namespace quantlab::factored {
namespace {

using Floats = Single<float>;

}  // namespace
}  // namespace quantlab::factored

namespace quantlab::factored_bf16 {
namespace {

using factored::Floats;

// Tiles in memory; see factored_bf16/body.h.
class Tiles {
 public:
  void release() {}
  template <int kTile>
  void zero() {
    for (auto& row : sums_[kTile]) {
      for (float& sum : row) sum = 0.0f;
    }
  }
  template <int kTile>
  void store(float* to, std::size_t step) const {
    for (int row = 0; row < 16; ++row) {
      for (int column = 0; column < 16; ++column) to[column] = sums_[kTile][row][column];
      to += step;
    }
  }
  void load_x(const std::uint16_t* from, std::size_t step) {
    for (int row = 0; row < 16; ++row) {
      for (int i = 0; i < 32; ++i) x_[row][i] = widened(from[i]);
      from += step;
    }
  }
  void load_weights(const std::uint16_t* from) {
    for (int i = 0; i < 32; ++i) {
      for (int column = 0; column < 16; ++column) {
        weights_[i][column] = widened(from[(i / 2 * 16 + column) * 2 + i % 2]);
      }
    }
  }
  template <int kTile>
  void add_products() {
    for (int row = 0; row < 16; ++row) {
      for (int i = 0; i < 32; ++i) {
        for (int column = 0; column < 16; ++column) {
          sums_[kTile][row][column] += x_[row][i] * weights_[i][column];
        }
      }
    }
  }

  static void round(Floats x, std::uint16_t* to) { *to = rounded(x.x); }
  static void round(Floats x, Floats next, std::uint16_t* to) {
    to[0] = rounded(x.x);
    to[1] = rounded(next.x);
  }
  static void round_pairs(Floats even, Floats odd, std::uint16_t* to) { round(even, odd, to); }

 private:
  static float widened(std::uint16_t half) {
    const std::uint32_t bits = static_cast<std::uint32_t>(half) << 16;
    float number;
    __builtin_memcpy(&number, &bits, sizeof(number));
    return number;
  }
  // To the nearest, ties to even.
  static std::uint16_t rounded(float number) {
    std::uint32_t bits;
    __builtin_memcpy(&bits, &number, sizeof(bits));
    if (number != number) return static_cast<std::uint16_t>((bits >> 16) | 0x40);
    return static_cast<std::uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
  }

  float sums_[6][16][16];
  float x_[16][32];
  float weights_[32][16];
};

}  // namespace
}  // namespace quantlab::factored_bf16

#include "factored_bf16/body.h"

namespace quantlab::factored_bf16 {

const Unit scalar = {&factored::expand_over,   &pack_over,
                     &multiply_over,           &factored::multiply_channels_over,
                     &factored::max_pool_over, &factored::average_pool_over,
                     &factored::add_over,      &factored::peak_of};

}  // namespace quantlab::factored_bf16
