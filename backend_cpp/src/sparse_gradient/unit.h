// What one instruction set brings to the kernel; the rules of bitpack/unit.h hold here too.
#pragma once

#include <cstddef>

#include "quantlab/connections.h"
#include "quantlab/half.h"

namespace quantlab::sparse_gradient {

// For each plane's numbers i of each line, over the plane's connections:
// x_gradient[i] = the sum of value * y[offset + line * y_step + i], and
// gradient of a connection = the sum over all i of x[i] * y[offset + line * y_step + i],
// where y is the gradient of the outputs, with zeros around. Of halves: x and y below 2^6, values
// below 2^4, see quantlab/floats/avx512fp16.h.
template <class Number, class Input = Number>
struct Task {
  const Input* x;
  const Input* y;
  const Number* values;
  Number* x_gradient;  // null: not wanted
  Number* gradients;   // of the connections, zeros at first; null: not wanted
  Connections planes;  // of the first panel of outputs, then those of the next ones
  std::size_t num_panels;
  const Plane* places;  // in x and in its gradient
  std::size_t num_planes;
  std::size_t y_step;
};

template <class Number, class Input = Number>
struct Unit {
  std::size_t tile;  // numbers that are done at once
  // The tile that begins at `begin` in a line, for planes [first, last) that have it.
  void (*go_back)(const Task<Number, Input>& task, std::size_t line, std::size_t begin,
                  std::size_t first, std::size_t last);
};

extern const Unit<float> scalar;
extern const Unit<float> avx2;
extern const Unit<float> avx512;
extern const Unit<double> scalar_double;
extern const Unit<float, Half> scalar_half;
extern const Unit<float, Half> avx2_half;
extern const Unit<float, Half> avx512_half;
extern const Unit<float, Half> avx512fp16;

}  // namespace quantlab::sparse_gradient
