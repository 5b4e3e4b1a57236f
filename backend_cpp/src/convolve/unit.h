// What one instruction set brings to the kernel; the rules of bitpack/unit.h hold here too.
#pragma once

#include <cstddef>
#include <cstdint>

#include "quantlab/windows.h"
#include "requantize/results.h"

namespace quantlab::convolve {

// Weights in blocks of 16 outputs: `[blocks][spans][chunks][16][4 bytes]`, as bytes for an input of
// bytes and as words for one of words; a chunk is 4 neighboring bytes or 2 words of the input.
// Outputs of a group read their own channels; no block has outputs of two groups. Where each output
// has one channel of its own, the weights are `[blocks][spans][16]` integers of 32 bits.
struct Weights {
  const void* data;
  const std::int32_t* bias;  // one for each output, 16 in a block
  std::size_t num_outputs;
  std::size_t num_groups;
  std::size_t group_channels;  // from one group's channels to the next
  std::size_t num_chunks;      // in a span
  bool is_depthwise;
};

struct Task {
  const void* x;
  bool is_words;
  Windows windows;
  Weights weights;
  Results results;
};

struct Unit {
  int max_blocks;
  // Windows [begin, end) for the outputs of `num_blocks` blocks of a group from the one numbered
  // `block` on.
  void (*convolve)(const Task& task, std::size_t block, int num_blocks, std::size_t begin,
                   std::size_t end);
  // The same for one block of a depthwise task; up to 15 numbers behind a window are read too.
  void (*depthwise)(const Task& task, std::size_t block, std::size_t begin, std::size_t end);
  // Products of bytes in registers alone, `repeats` times; returns how many. What `dot` can do.
  std::size_t (*peak)(std::size_t repeats);
};

extern const Unit scalar;
extern const Unit avx2;
extern const Unit avx512;
extern const Unit avx512vnni;

}  // namespace quantlab::convolve
