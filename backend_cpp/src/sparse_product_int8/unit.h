// What one instruction set brings to the kernel; the rules of bitpack/unit.h hold here too.
#pragma once

#include <cstddef>

#include "quantlab/connections.h"

namespace quantlab::sparse_product_int8 {

// For each row and each number i of its lines:
// out[begin + line * step + i] = bias[row] + factor[row] * (the sum over the row's connections of
// weight * (x[offset + line * x_step + i] - 128)).
struct Task {
  const std::uint8_t* x;
  const std::int8_t* weights;  // of the connections, from -127 on
  const std::int32_t* starts;  // of each row: -128 times the sum of its weights
  const float* factors;
  const float* bias;  // null: zeros
  float* out;
  Connections rows;     // of each a multiple of four
  const Plane* places;  // of each row, in out
  std::size_t x_step;
};

struct Unit {
  std::size_t tile;  // numbers that are done at once
  // The tile that begins at `begin` in a line, for rows [first, last) that have it.
  void (*multiply)(const Task& task, std::size_t line, std::size_t begin, std::size_t first,
                   std::size_t last);
};

extern const Unit scalar;
extern const Unit avx2;
extern const Unit avx512vnni;

}  // namespace quantlab::sparse_product_int8
