// A vector of real numbers, for any processor: of one number. The instruction sets' files in this
// folder have structs with the same members:
//
//   Number, kLanes              what a vector adds up to in memory, and how many
//   load                        of `Number` or `Half`, any address; with a count only so many are
//                               touched, others are zero; without, in 32 bits, of integers too
//   gather(from, places)        from[places[i]] for each number of a vector; with a count as above;
//                               not in AVX-512, see sparse_gather.cpp
//   store, add_to               to memory, or added to what is there; with a count as above
//   store_above(start, to)      start + this to memory
//   times(a), plus(a)           this * a; this + a
//   clamped(low, high)          this within bounds; what is no number stays so; not in 16 bits
//   larger(a)                   the larger one of this and a, or what is no number; not in 16 bits
//   add_product(a, b)           this + a * b
//   kMostProducts               so many may be added up in a vector; 0: any number
//   Factors(values, count)      numbers that are loaded one by one, each as a whole vector
//   load_twice, with_lower, with_upper, upper       halves of a vector; of 16 floats only
//   four_sums(a, b, c, d, ...)  adds the sums of the first vectors' numbers to numbers in memory
//   transpose(rows)             of as many vectors as they have numbers
//
// Files of an instruction set include one of them and nothing inline from the standard library.
#pragma once

#include <cstddef>
#include <cstdint>

#include "quantlab/half.h"

namespace quantlab {
namespace {

template <class T>
struct Single {
  using Number = T;
  static constexpr std::size_t kLanes = 1;
  static constexpr std::size_t kMostProducts = 0;

  T x;

  struct Factors {
    const T* values;

    Factors(const T* from, std::size_t) : values(from) {}
    Single operator[](std::size_t i) const { return {values[i]}; }
  };

  static Single zero() { return {0}; }
  static Single splat(T value) { return {value}; }
  static Single load(const T* from) { return {*from}; }
  static Single load(const T* from, std::size_t) { return {*from}; }
  static Single gather(const T* from, const std::int32_t* places) { return {from[*places]}; }
  static Single gather(const T* from, const std::int32_t* places, std::size_t) {
    return gather(from, places);
  }
  static Single load(const std::int8_t* from) { return {static_cast<T>(*from)}; }
  static Single load(const std::int16_t* from) { return {static_cast<T>(*from)}; }
  static Single load(const Half* from) { return {static_cast<T>(float_of(*from))}; }
  static Single load(const Half* from, std::size_t) { return load(from); }
  void store(T* to) const { *to = x; }
  void store(T* to, std::size_t) const { *to = x; }
  void store(Half* to) const { *to = half_of(static_cast<float>(x)); }
  void store_above(T start, T* to) const { *to = start + x; }
  void store_above(T start, T* to, std::size_t) const { *to = start + x; }
  void add_to(T* to) const { *to += x; }
  void add_to(T* to, std::size_t) const { *to += x; }
  Single times(Single a) const { return {x * a.x}; }
  Single plus(Single a) const { return {x + a.x}; }
  Single clamped(Single low, Single high) const {
    const T raised = x < low.x ? low.x : x;
    return {raised > high.x ? high.x : raised};
  }
  Single larger(Single a) const { return {x > a.x || x != x ? x : a.x}; }
  void add_product(Single a, Single b) { x += a.x * b.x; }
  static void transpose(Single (&)[1]) {}
  static void four_sums(Single a, Single b, Single c, Single d, T* totals, std::size_t count) {
    const T sums[4] = {a.x, b.x, c.x, d.x};
    for (std::size_t i = 0; i < 4 && i < count; ++i) totals[i] += sums[i];
  }
};

}  // namespace
}  // namespace quantlab
