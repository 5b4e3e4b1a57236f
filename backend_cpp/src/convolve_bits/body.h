// The kernel, written once over two types that each unit defines. With s, n the bits of a number
// and t, m those of a weight, a product is not zero where n & m, and below zero where s ^ t: their
// sum is count(n & m) - 2 count(n & m & (s ^ t)).
//
//   Counts                          16 sums of 64 bits
//     zero(), to_sums(bias)         sums of 32 bits, as `Lanes`
//     add(s, n, words)              for words [2][16] of the weights
//   pack_word(x, count, s, n)       the bits of up to 64 numbers
#pragma once

#include <cstddef>
#include <cstdint>

#include "convolve_bits/unit.h"
#include "requantize/finish.h"

namespace quantlab::convolve_bits {
namespace {

template <class Bits>
void pack_over(const std::int8_t* x, std::size_t channels, Planes planes, std::size_t begin,
               std::size_t end) {
  const std::size_t num_words = (channels + 63) / 64;
  for (std::size_t pixel = begin; pixel < end; ++pixel) {
    for (std::size_t word = 0; word < num_words; ++word) {
      const std::size_t left = channels - word * 64;
      Bits::pack_word(x + pixel * channels + word * 64, left < 64 ? left : 64,
                      planes.below + pixel * num_words + word,
                      planes.nonzero + pixel * num_words + word);
    }
  }
}

template <class Bits>
void convolve_over(const Task& task, std::size_t block, std::size_t begin, std::size_t end) {
  constexpr int kRows = 4;
  const std::size_t channel = block * kLanes;
  const std::size_t left = task.num_outputs - channel;
  const std::size_t window_words = task.windows.num_spans * task.span;
  const Lanes bias = Lanes::load(task.bias + channel);
  const Outputs outputs{channel, left < kLanes ? left : kLanes, channel};
  over_windows<kRows, kLanes>(
      task.windows, task.results, task.num_outputs, outputs, begin, end,
      [&](const std::size_t (&from)[kRows], std::int32_t* sums) {
        typename Bits::Counts total[kRows];
#pragma GCC unroll 4
        for (int r = 0; r < kRows; ++r) total[r] = Bits::Counts::zero();
        const std::uint64_t* weights = task.weights + block * window_words * 2 * kLanes;
        for (std::size_t span = 0; span < task.windows.num_spans; ++span) {
          for (std::size_t word = 0; word < task.span; ++word) {
            const std::size_t at = task.windows.spans[span] + word;
            const auto w = Bits::load(weights);
#pragma GCC unroll 4
            for (int r = 0; r < kRows; ++r) {
              total[r].add(task.x.below[from[r] + at], task.x.nonzero[from[r] + at], w);
            }
            weights += 2 * kLanes;
          }
        }
#pragma GCC unroll 4
        for (int r = 0; r < kRows; ++r) (total[r].to_sums() + bias).store(sums + r * kLanes);
      });
}

}  // namespace
}  // namespace quantlab::convolve_bits
