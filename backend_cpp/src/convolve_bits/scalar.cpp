#include "quantlab/lanes/scalar.h"

#include "convolve_bits/body.h"

namespace quantlab::convolve_bits {
namespace {

std::int32_t count(std::uint64_t x) {
  x = x - ((x >> 1) & 0x5555555555555555);
  x = (x & 0x3333333333333333) + ((x >> 2) & 0x3333333333333333);
  x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0f;
  return static_cast<std::int32_t>((x * 0x0101010101010101) >> 56);
}

struct Scalar {
  struct Words {
    const std::uint64_t* words;
  };

  static Words load(const std::uint64_t* from) { return {from}; }

  struct Counts {
    std::int32_t x[kLanes];

    static Counts zero() { return {}; }
    void add(std::uint64_t below, std::uint64_t nonzero, const Words& w) {
      for (std::size_t i = 0; i < kLanes; ++i) {
        const std::uint64_t both = nonzero & w.words[kLanes + i];
        x[i] += count(both) - 2 * count(both & (below ^ w.words[i]));
      }
    }
    Lanes to_sums() const { return Lanes::load(x); }
  };

  static void pack_word(const std::int8_t* x, std::size_t size, std::uint64_t* below,
                        std::uint64_t* nonzero) {
    std::uint64_t s = 0;
    std::uint64_t n = 0;
    for (std::size_t i = 0; i < size; ++i) {
      s |= static_cast<std::uint64_t>(x[i] < 0) << i;
      n |= static_cast<std::uint64_t>(x[i] != 0) << i;
    }
    *below = s;
    *nonzero = n;
  }
};

}  // namespace

const Unit scalar = {&pack_over<Scalar>, &convolve_over<Scalar>};

}  // namespace quantlab::convolve_bits
