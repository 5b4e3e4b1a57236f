// What one instruction set brings to the kernel; the rules of bitpack/unit.h hold here too.
#pragma once

#include <cstddef>

#include "quantlab/connections.h"
#include "quantlab/half.h"

namespace quantlab::sparse_product {

// out[row][line][i] = bias[row] + the sum over the row's connections of
// value * x[offset + line * lines.step + i]. Of halves: both below 2^6 and 2^4, see
// quantlab/floats/avx512fp16.h.
template <class Number, class Input = Number>
struct Task {
  const Input* x;
  const Number* values;
  const Number* bias;  // null: zeros
  Number* out;
  Connections rows;  // of the first panel of planes, then those of the next ones
  std::size_t num_panels;
  std::size_t num_rows;
  Lines lines;           // in x
  std::size_t out_line;  // numbers from one line to the next
  std::size_t out_row;
};

template <class Number, class Input = Number>
struct Unit {
  std::size_t tile;  // numbers that are done at once
  // Numbers [begin, end) of a line, at most a tile, for rows [first, last).
  void (*multiply)(const Task<Number, Input>& task, std::size_t line, std::size_t begin,
                   std::size_t end, std::size_t first, std::size_t last);
};

extern const Unit<float> scalar;
extern const Unit<float> avx2;
extern const Unit<float> avx512;
extern const Unit<double> scalar_double;
extern const Unit<float, Half> scalar_half;
extern const Unit<float, Half> avx2_half;
extern const Unit<float, Half> avx512_half;
extern const Unit<float, Half> avx512fp16;

}  // namespace quantlab::sparse_product
