// What one instruction set brings to the kernel; the rules of bitpack/unit.h hold here too.
#pragma once

#include <cstddef>
#include <cstdint>

#include "quantlab/rows.h"

namespace quantlab::pool {

// What a window covers of the input along an axis: [begin, end), every `step`-th.
struct Stretch {
  std::size_t begin;
  std::size_t end;
  std::size_t step;
};

// Images `[height, width, channels]` and windows over them.
struct Task {
  Rows x;
  Rows out;
  std::size_t height;
  std::size_t width;
  std::size_t channels;
  const Stretch* rows;  // of windows
  std::size_t num_rows;
  const Stretch* columns;
  std::size_t num_columns;
  std::size_t window;         // numbers in a whole one
  std::int32_t padding_code;  // what stands for numbers beyond the border, in sums
};

struct Unit {
  // Rows of windows [begin, end) of all images: the largest numbers, in the input's type.
  void (*max)(const Task& task, std::size_t begin, std::size_t end);
  // The sums, in 32 bits.
  void (*sum)(const Task& task, std::size_t begin, std::size_t end);
};

extern const Unit scalar;
extern const Unit avx2;
extern const Unit avx512;

}  // namespace quantlab::pool
