// What one instruction set brings to the kernel; the rules of bitpack/unit.h hold here too.
#pragma once

#include <cstddef>
#include <cstdint>

#include "quantlab/half.h"

namespace quantlab::planes {

// Samples, and the same numbers with the batch innermost, at places of their own.
template <class Number>
struct Task {
  bool is_batch_innermost;  // samples are `[N][B]`; else `[B][N]`
  std::size_t batch;
  std::size_t size;            // N, numbers of a sample: of all channels
  std::size_t channel;         // numbers of one, as many as there are places
  const std::int64_t* places;  // of a channel's numbers, in rows of B; below zero: none
  std::size_t step;            // rows of B from one channel to the next
  const std::int64_t* gaps;    // [num_gaps][2], begin and end of what no number takes, in rows of B
  std::size_t num_gaps;
  Number factor;  // of all numbers, on their way
};

template <class Number, class InPlane = Number>
struct Unit {
  std::size_t multiple;  // ranges begin at multiples of this
  // Numbers [begin, end) of all samples go to their places.
  void (*lay_out)(const Task<Number>& task, const Number* samples, InPlane* planes,
                  std::size_t begin, std::size_t end);
  // The same back; what has no place becomes zero.
  void (*collect)(const Task<Number>& task, const InPlane* planes, Number* samples,
                  std::size_t begin, std::size_t end);
  // Numbers start + code * factor of samples with the batch innermost go to their places.
  void (*decode)(const Task<Number>& task, const std::uint8_t* codes, Number start, InPlane* planes,
                 std::size_t begin, std::size_t end);
};

extern const Unit<float> scalar;
extern const Unit<float> avx2;
extern const Unit<float> avx512;
extern const Unit<double> scalar_double;
extern const Unit<float, Half> scalar_half;
extern const Unit<float, Half> avx2_half;
extern const Unit<float, Half> avx512_half;

}  // namespace quantlab::planes
