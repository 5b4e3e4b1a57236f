// A vector of real numbers, for any processor: of one number. The instruction sets' files in this
// folder have structs with the same members:
//
//   Number, kLanes              what a vector holds, and how many
//   load, store                 any address; with a count only so many are touched, others are zero
//   add_product(a, b)           this + a * b
//   four_sums(a, b, c, d, ...)  adds the sums of the first vectors' numbers to numbers in memory
//   transpose(rows)             of as many vectors as they have numbers
//
// Files of an instruction set include one of them and nothing inline from the standard library.
#pragma once

#include <cstddef>

namespace quantlab {
namespace {

template <class T>
struct Single {
  using Number = T;
  static constexpr std::size_t kLanes = 1;

  T x;

  static Single zero() { return {0}; }
  static Single splat(T value) { return {value}; }
  static Single load(const T* from) { return {*from}; }
  static Single load(const T* from, std::size_t) { return {*from}; }
  void store(T* to) const { *to = x; }
  void store(T* to, std::size_t) const { *to = x; }
  void add_product(Single a, Single b) { x += a.x * b.x; }
  static void transpose(Single (&)[1]) {}
  static void four_sums(Single a, Single b, Single c, Single d, T* totals, std::size_t count) {
    const T sums[4] = {a.x, b.x, c.x, d.x};
    for (std::size_t i = 0; i < 4 && i < count; ++i) totals[i] += sums[i];
  }
};

}  // namespace
}  // namespace quantlab
