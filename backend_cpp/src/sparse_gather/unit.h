// What one instruction set brings to the kernels; the rules of bitpack/unit.h hold here too.
#pragma once

#include <cstddef>
#include <cstdint>

#include "quantlab/connections.h"

namespace quantlab::sparse_gather {

// A linear layer over samples one after the other: x `[batch][num_columns]`, out and y
// `[batch][num_rows]`.
struct Shape {
  std::size_t batch;
  std::size_t num_columns;
  std::size_t num_rows;
};

// out[b][row] = bias[row] + the sum over the row's connections of value * x[b][column].
template <class Number>
struct ProductTask {
  Shape shape;
  const Number* x;
  const Number* values;
  const Number* bias;  // null: zeros
  Number* out;
  Connections rows;           // their offsets are columns
  const std::int32_t* order;  // where each connection's value is
};

// x_gradient[b][column] = the sum over the column's connections of value * y[b][row], and
// gradient of a connection = the sum over all b of x[b][column] * y[b][row].
template <class Number>
struct GradientTask {
  Shape shape;
  const Number* x;
  const Number* y;
  const Number* values;
  Number* x_gradient;   // null: not wanted
  Number* gradients;    // of the connections; null: not wanted
  Connections columns;  // their offsets are rows; of the first panel of rows, then of the next ones
};

template <class Number>
struct Unit {
  // Rows [first, last).
  void (*multiply)(const ProductTask<Number>& task, std::size_t first, std::size_t last);
  // Columns [first, last).
  void (*go_back)(const GradientTask<Number>& task, std::size_t first, std::size_t last);
};

extern const Unit<float> scalar;
extern const Unit<float> avx2;
extern const Unit<double> scalar_double;

}  // namespace quantlab::sparse_gather
