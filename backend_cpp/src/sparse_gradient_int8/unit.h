// What one instruction set brings to the kernel; the rules of bitpack/unit.h hold here too.
#pragma once

#include <cstddef>

#include "quantlab/connections.h"

namespace quantlab::sparse_gradient_int8 {

// For each connection of a plane, over all numbers i of the plane's lines: the sum of
// (x[i] - 128) * (y[offset + line * y_step + i] - 128).
struct Task {
  const std::uint8_t* x;
  const std::uint8_t* y;
  Connections planes;
  const Plane* places;  // in x
  std::size_t y_step;
};

// A part of all planes' lines.
struct Block {
  std::size_t first_line;
  std::size_t last_line;
  std::size_t begin;
  std::size_t end;
};

struct Unit {
  // Adds a block's share, of at most 2^16 numbers, to the sums of a plane's connections.
  void (*add_dots)(const Task& task, const Block& block, std::size_t plane, std::int64_t* sums);
  // results[i] = sums[i] * factor
  void (*scale)(const std::int64_t* sums, std::size_t count, float factor, float* results);
};

extern const Unit scalar;
extern const Unit avx2;
extern const Unit avx512vnni;

}  // namespace quantlab::sparse_gradient_int8
