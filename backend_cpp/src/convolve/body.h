// The kernel, written once over the `Lanes` of an instruction set: tiles of some windows and some
// blocks of 16 outputs, whose sums stay in registers.
#pragma once

#include <cstddef>
#include <cstdint>

#include "convolve/unit.h"
#include "requantize/finish.h"

namespace quantlab::convolve {
namespace {

struct Bytes {
  using Number = std::uint8_t;
  using Weight = std::int8_t;
  using X = SplatBytes;
  using W = WeightBytes;
  static constexpr std::size_t kChunk = 4;
};

struct Words {
  using Number = std::int16_t;
  using Weight = std::int16_t;
  using X = SplatWords;
  using W = WeightWords;
  static constexpr std::size_t kChunk = 2;
};

// The sums of `kRows` windows for `kBlocks` blocks, to `sums` `[kRows][kBlocks * 16]`.
template <class Type, int kBlocks, int kRows>
void tile(const Task& task, const typename Type::Number* const (&from)[kRows],
          const typename Type::Weight* weights, const std::int32_t* bias, std::int32_t* sums) {
  constexpr std::size_t kChunkWeights = kLanes * Type::kChunk;
  const std::size_t num_chunks = task.weights.num_chunks;
  const std::size_t block_weights = task.windows.num_spans * num_chunks * kChunkWeights;
  Lanes total[kRows][kBlocks];
#pragma GCC unroll 4
  for (int b = 0; b < kBlocks; ++b) {
    const Lanes start = Lanes::load(bias + b * kLanes);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) total[r][b] = start;
  }
  for (std::size_t span = 0; span < task.windows.num_spans; ++span) {
    const std::size_t offset = task.windows.spans[span];
    const typename Type::Number* x[kRows];
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) x[r] = from[r] + offset;
    for (std::size_t chunk = 0; chunk < num_chunks; ++chunk) {
      typename Type::W w[kBlocks];
#pragma GCC unroll 4
      for (int b = 0; b < kBlocks; ++b) w[b] = Type::W::load(weights + b * block_weights);
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r) {
        const auto input = Type::X::of(x[r] + chunk * Type::kChunk);
#pragma GCC unroll 4
        for (int b = 0; b < kBlocks; ++b) total[r][b] = dot(total[r][b], input, w[b]);
      }
      weights += kChunkWeights;
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int b = 0; b < kBlocks; ++b) total[r][b].store(sums + (r * kBlocks + b) * kLanes);
  }
}

template <class Type, int kBlocks>
void convolve_blocks(const Task& task, std::size_t block, std::size_t begin, std::size_t end) {
  constexpr int kRows = Lanes::rows(kBlocks);
  const Weights& w = task.weights;
  const std::size_t group_outputs = w.num_outputs / w.num_groups;
  const std::size_t group_blocks = (group_outputs + kLanes - 1) / kLanes;
  const std::size_t group = block / group_blocks;
  const std::size_t within = block % group_blocks * kLanes;  // outputs of the group before these
  const std::size_t left = group_outputs - within;
  const std::size_t count = left < kBlocks * kLanes ? left : kBlocks * kLanes;
  const std::size_t weights_per_block =
      task.windows.num_spans * w.num_chunks * kLanes * Type::kChunk;
  const auto* weights =
      static_cast<const typename Type::Weight*>(w.data) + block * weights_per_block;
  const auto* x = static_cast<const typename Type::Number*>(task.x) + group * w.group_channels;
  const Outputs outputs{group * group_outputs + within, count, block * kLanes};
  over_windows<kRows, kBlocks * kLanes>(
      task.windows, task.results, w.num_outputs, outputs, begin, end,
      [&](const std::size_t (&places)[kRows], std::int32_t* sums) {
        const typename Type::Number* from[kRows];
        for (int r = 0; r < kRows; ++r) from[r] = x + places[r];
        tile<Type, kBlocks, kRows>(task, from, weights, w.bias + block * kLanes, sums);
      });
}

template <class Type>
void convolve_some(const Task& task, std::size_t block, int num_blocks, std::size_t begin,
                   std::size_t end) {
  if constexpr (Lanes::kMaxBlocks == 4) {
    switch (num_blocks) {
      case 4:
        return convolve_blocks<Type, 4>(task, block, begin, end);
      case 3:
        return convolve_blocks<Type, 3>(task, block, begin, end);
      case 2:
        return convolve_blocks<Type, 2>(task, block, begin, end);
      default:
        break;
    }
  }
  convolve_blocks<Type, 1>(task, block, begin, end);
}

// The sums of `kRows` windows for 16 channels.
template <class Number, int kRows>
void depthwise_tile(const Task& task, const Number* const (&from)[kRows], std::size_t block,
                    std::int32_t* sums) {
  const std::size_t num_spans = task.windows.num_spans;
  const auto* weights =
      static_cast<const std::int32_t*>(task.weights.data) + block * num_spans * kLanes;
  const Lanes bias = Lanes::load(task.weights.bias + block * kLanes);
  Lanes total[kRows];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) total[r] = bias;
  for (std::size_t span = 0; span < num_spans; ++span) {
    const Lanes w = Lanes::load(weights + span * kLanes);
    const std::size_t offset = task.windows.spans[span];
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) total[r] = total[r] + Lanes::from(from[r] + offset) * w;
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) total[r].store(sums + r * kLanes);
}

template <class Number>
void depthwise_block(const Task& task, std::size_t block, std::size_t begin, std::size_t end) {
  constexpr int kRows = 8;
  const std::size_t channel = block * kLanes;
  const std::size_t left = task.weights.num_outputs - channel;
  const Outputs outputs{channel, left < kLanes ? left : kLanes, channel};
  const auto* x = static_cast<const Number*>(task.x) + channel;
  over_windows<kRows, kLanes>(task.windows, task.results, task.weights.num_outputs, outputs, begin,
                              end, [&](const std::size_t (&places)[kRows], std::int32_t* sums) {
                                const Number* from[kRows];
                                for (int r = 0; r < kRows; ++r) from[r] = x + places[r];
                                depthwise_tile<Number, kRows>(task, from, block, sums);
                              });
}

inline void depthwise_over(const Task& task, std::size_t block, std::size_t begin,
                           std::size_t end) {
  if (task.is_words) {
    depthwise_block<std::int16_t>(task, block, begin, end);
  } else {
    depthwise_block<std::uint8_t>(task, block, begin, end);
  }
}

inline std::size_t peak_of(std::size_t repeats) {
  constexpr int kBlocks = Lanes::kMaxBlocks;
  constexpr int kRows = Lanes::rows(kBlocks);
  alignas(64) std::int8_t weights[kBlocks * kLanes * 4] = {};
  std::uint8_t x[kRows * 4] = {};
  alignas(64) std::int32_t sums[kRows * kBlocks * kLanes] = {};
  Lanes total[kRows * kBlocks];
  for (int i = 0; i < kRows * kBlocks; ++i) sums[i * kLanes] = i;  // no two alike
  __asm__ volatile("" : : "r"(sums) : "memory");
#pragma GCC unroll 32
  for (int i = 0; i < kRows * kBlocks; ++i) total[i] = Lanes::load(sums + i * kLanes);
  for (std::size_t done = 0; done < repeats; ++done) {
    // What the compiler cannot know may have changed.
    __asm__ volatile("" : : "r"(weights), "r"(x) : "memory");
    WeightBytes w[kBlocks];
#pragma GCC unroll 4
    for (int b = 0; b < kBlocks; ++b) w[b] = WeightBytes::load(weights + b * kLanes * 4);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      const SplatBytes input = SplatBytes::of(x + r * 4);
#pragma GCC unroll 4
      for (int b = 0; b < kBlocks; ++b) {
        total[r * kBlocks + b] = dot(total[r * kBlocks + b], input, w[b]);
      }
    }
  }
#pragma GCC unroll 32
  for (int i = 0; i < kRows * kBlocks; ++i) total[i].store(sums + i * kLanes);
  __asm__ volatile("" : : "r"(sums) : "memory");
  return repeats * kRows * kBlocks * kLanes * 4;
}

inline void convolve_over(const Task& task, std::size_t block, int num_blocks, std::size_t begin,
                          std::size_t end) {
  if (task.is_words) {
    convolve_some<Words>(task, block, num_blocks, begin, end);
  } else {
    convolve_some<Bytes>(task, block, num_blocks, begin, end);
  }
}

}  // namespace
}  // namespace quantlab::convolve
