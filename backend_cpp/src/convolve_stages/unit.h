// What one instruction set brings to the kernel; the rules of bitpack/unit.h hold here too.
#pragma once

#include <cstddef>
#include <cstdint>

#include "requantize/results.h"

namespace quantlab::convolve_stages {

// A 1x1 convolution in blocks of 16 outputs: weights `[blocks][chunks][16][4 bytes]` for an input
// of bytes, `[blocks][chunks][16][2 words]` for one of words, a chunk being so many neighboring
// channels.
struct Point {
  const void* weights;
  const std::int32_t* bias;  // 16 a block
  std::size_t num_blocks;
  std::size_t num_chunks;
};

// A convolution whose outputs read channels of their own, as pairs of words: output o reads the
// pairs p at `[p][o]`, behind which zeros fill up a block. weights: `[blocks][taps][pairs][16][2]`.
struct Kernels {
  const std::int16_t* weights;
  const std::int32_t* bias;  // 16 a block
  std::size_t num_blocks;
  std::size_t num_pairs;
  const std::size_t* taps;  // where the pairs of each tap lie, one after the other, from a window's
  std::size_t num_taps;     // begin on; for each pair once
  bool has_neighbors;       // three columns of one pair, next to one another, as windows are
  std::size_t reach;        // rows of a window
  std::size_t stride[2];    // rows and columns
  std::size_t before[2];    // of padding, by zeros
};

// Images `[height, width, channels]` through a Point, Kernels, and a Point once more. Between them
// sums are shifted and clamped to words; what rounds is part of the bias. Without kernels the first
// Point reads every so manieth pixel; without an exit the results are those of the kernels.
struct Task {
  const void* x;
  bool is_words;
  std::size_t height;
  std::size_t width;
  std::size_t channels;
  Point entry;
  int entry_shift;
  bool has_kernels;
  Kernels kernels;  // of which the strides count in any case
  int kernel_shift;
  bool has_exit;
  Point exit;
  std::size_t num_rows;  // of results, in an image
  std::size_t num_columns;
  std::size_t num_outputs;
  std::size_t padded_width;  // of what the kernels read
  Results results;
};

namespace {

// Words of a pixel of what the kernels read, and of what they make.
inline std::size_t words_entered(const Task& task) { return task.entry.num_blocks * 16; }
inline std::size_t words_made(const Task& task) {
  return task.has_kernels ? task.kernels.num_blocks * 16 : words_entered(task);
}
// Rows that the kernels read for some of results.
inline std::size_t num_rows_read(const Task& task, std::size_t num_rows) {
  return (num_rows - 1) * task.kernels.stride[0] + task.kernels.reach;
}

}  // namespace

struct Unit {
  // Rows [begin, end) of the results of an image. u: words for what the kernels read of them,
  // `num_rows_read * padded_width * words_entered`; t: for what the exit reads,
  // `rows * num_columns * words_made` and 8 pixels more.
  void (*convolve)(const Task& task, std::size_t image, std::size_t begin, std::size_t end,
                   std::int16_t* u, std::int16_t* t);
};

extern const Unit scalar;
extern const Unit avx2;
extern const Unit avx512;
extern const Unit avx512vnni;

}  // namespace quantlab::convolve_stages
