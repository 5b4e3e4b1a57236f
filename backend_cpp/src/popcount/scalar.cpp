#include "popcount/body.h"

namespace quantlab::popcount {
namespace {

struct Lanes {
  static constexpr std::size_t kWords = 1;

  std::uint64_t x;

  static Lanes zero() { return {0}; }
  friend Lanes operator+(Lanes a, Lanes b) { return {a.x + b.x}; }
  static Lanes load(const std::uint64_t* from) { return {*from}; }
  static Lanes load_some(const std::uint64_t*, std::size_t) { return {0}; }
};

// Sums of neighboring fields of 1, 2 and 4 bits; the product adds the bytes into the highest.
Lanes bits(Lanes a) {
  std::uint64_t x = a.x;
  x = x - ((x >> 1) & 0x5555555555555555);
  x = (x & 0x3333333333333333) + ((x >> 2) & 0x3333333333333333);
  x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0f;
  return {(x * 0x0101010101010101) >> 56};
}

std::int64_t sum(Lanes a) { return static_cast<std::int64_t>(a.x); }

}  // namespace

const Unit scalar = {&popcount_over<Lanes>};

}  // namespace quantlab::popcount
