// What one instruction set brings to convolutions of real numbers; the rules of bitpack/unit.h hold
// here too.
#pragma once

#include <cstddef>
#include <cstdint>

#include "quantlab/windows.h"

namespace quantlab::factored {

// Weights lie in blocks of 16 columns, whatever the instruction set: `[blocks][depth][16]`.
constexpr std::size_t kBlock = 16;
// Weights that `pack` makes have 16 bits each, and a depth that is a multiple of this.
constexpr std::size_t kPackedDepth = 32;

// Weights in that order: numbers, or integer codes; weight = scale of its column * code.
struct Codes {
  const float* numbers;  // the others are null, as those of other types are
  const std::int8_t* bytes;
  const std::int16_t* words;
  const float* scales;  // `[blocks * 16]`
  std::size_t num_blocks;
  std::size_t depth;
};

// For each window: out[c] = clamp(bias[c] + residual[c] + a sum over the window, low, high).
// `multiply`: of x[span + i] * weight[span][i][c], over spans of `span` numbers;
// `multiply_channels`: of x[span + c] * weight[span][c], where `span` is 1.
struct Product {
  const float* x;
  Windows windows;
  std::size_t span;
  std::size_t run;     // of channels: so many neighboring spans are pixels side by side,
  std::size_t stride;  // and so many pixels are between windows; 1 and 1 where they are not
  const float* weights;
  const float* bias;  // of whole blocks; null: zeros
  std::size_t num_outputs;
  const float* residual;  // where `out` has its numbers; null: zeros
  float* out;
  std::size_t out_row;     // numbers from one row of windows to the next
  std::size_t out_column;  // numbers from one window to the next
  float low;
  float high;
};

// Windows of pooling over an image `[height, width, channels]`, of which parts lie beyond it.
struct Pool {
  const float* x;
  std::size_t height, width, channels;
  std::size_t kernel_rows, kernel_columns;
  std::size_t stride_rows, stride_columns;
  std::size_t padding_rows, padding_columns;
  std::size_t num_columns;  // windows in a row
  bool counts_padding;      // of averages
  float* out;
};

struct Unit {
  void (*expand)(const Codes& codes, float* weights);
  // What `multiply` reads instead of weights in blocks; null: it reads those.
  void (*pack)(const Codes& codes, void* weights);
  // Windows [begin, end).
  void (*multiply)(const Product& task, std::size_t begin, std::size_t end);
  // Rows [begin, end) of windows, as all that follow; up to 15 numbers behind a window are read
  // too.
  void (*multiply_channels)(const Product& task, std::size_t begin, std::size_t end);
  void (*max_pool)(const Pool& task, std::size_t begin, std::size_t end);
  void (*average_pool)(const Pool& task, std::size_t begin, std::size_t end);
  // out = clamp(x + y, low, high)
  void (*add)(const float* x, const float* y, std::size_t size, float low, float high, float* out);
  // Products of real numbers in registers alone, `repeats` times; returns how many.
  std::size_t (*peak)(std::size_t repeats);
};

extern const Unit scalar;
extern const Unit avx2;
extern const Unit avx512;

}  // namespace quantlab::factored
