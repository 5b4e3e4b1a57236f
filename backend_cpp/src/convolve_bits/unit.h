// What one instruction set brings to the kernel; the rules of bitpack/unit.h hold here too.
#pragma once

#include <cstddef>
#include <cstdint>

#include "quantlab/windows.h"
#include "requantize/results.h"

namespace quantlab::convolve_bits {

// Numbers of -1, 0 and 1 as two bits each, 64 neighboring channels in a word, all words of a pixel
// one after the other: whether a number is below zero, and whether it is not zero.
struct Planes {
  std::uint64_t* below;
  std::uint64_t* nonzero;
};

// Weights in blocks of 16 outputs, `[blocks][words of a window][2][16]`: first the words that say
// below zero, then those that say not zero.
struct Task {
  Planes x;
  Windows windows;   // in words
  std::size_t span;  // words in a span
  const std::uint64_t* weights;
  const std::int32_t* bias;  // one for each output, 16 in a block
  std::size_t num_outputs;
  Results results;
};

struct Unit {
  // Planes of the pixels [begin, end), `channels` numbers each; bits behind them are zero.
  void (*pack)(const std::int8_t* x, std::size_t channels, Planes planes, std::size_t begin,
               std::size_t end);
  // Windows [begin, end) for the outputs of one block.
  void (*convolve)(const Task& task, std::size_t block, std::size_t begin, std::size_t end);
};

extern const Unit scalar;
extern const Unit avx2;
extern const Unit avx512vpopcntdq;

}  // namespace quantlab::convolve_bits
