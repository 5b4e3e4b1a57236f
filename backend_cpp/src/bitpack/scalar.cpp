#include "bitpack/body.h"

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the bit stream is little-endian");

namespace quantlab::bitpack {
namespace {

struct Lanes {
  static constexpr std::size_t kCodes = 8;
  template <int kBits>
  static constexpr std::size_t kExtent = 8;

  std::uint64_t x;

  static Lanes all(std::uint64_t mask) { return {mask}; }
  friend Lanes operator&(Lanes a, Lanes b) { return {a.x & b.x}; }
  friend Lanes operator|(Lanes a, Lanes b) { return {a.x | b.x}; }
  template <int kCount>
  static Lanes left(Lanes a) {
    return {a.x << kCount};
  }
  template <int kCount>
  static Lanes right(Lanes a) {
    return {a.x >> kCount};
  }
  static Lanes load(const std::uint8_t* from) {
    Lanes a;
    __builtin_memcpy(&a.x, from, 8);
    return a;
  }
  static void store(std::uint8_t* to, Lanes a) { __builtin_memcpy(to, &a.x, 8); }
  static void stream(std::uint8_t* to, Lanes a) { store(to, a); }
  static void fence() {}
  template <int kBits>
  static Lanes load_packed(const std::uint8_t* from) {
    return load(from);
  }
  // The product adds the eight bits, which lie 8 apart, next to one another in the highest byte.
  static void store_bits(std::uint8_t* to, Lanes a) {
    *to = static_cast<std::uint8_t>((a.x * 0x0102040810204080) >> 56);
  }
  template <int kBits>
  static void store_packed(std::uint8_t* to, Lanes a) {
    store(to, a);
  }
};

}  // namespace

const Unit scalar = {&pack_over<Lanes>, &unpack_over<Lanes>};

}  // namespace quantlab::bitpack
