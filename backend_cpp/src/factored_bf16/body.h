// Products of bfloat16, written once over `Tiles`: eight registers of 16 rows of 64 bytes. Six hold
// sums of 16 windows by 16 outputs, one numbers of 16 windows and one weights, 32 of a sum each.
//
//   Tiles(), release()          ready for use, and no longer (a destructor would need exceptions)
//   zero<t>(), store<t>(to, step)         sums to memory, `step` numbers from row to row
//   load_x(from, step)          16 rows of 32 numbers, `step` numbers from row to row
//   load_weights(from)          16 rows of 16 pairs: weights 2 r and 2 r + 1 of each output
//   add_products<t>()           to the sums
//   round(x, to)                a vector as numbers of 16 bits; with two vectors, one behind the
//                               other; a vector more may be written behind
//   round_pairs(even, odd, to)  two vectors, their numbers in turn
#pragma once

#include <cstddef>
#include <cstdint>

#include "factored/body.h"
#include "factored_bf16/unit.h"

namespace quantlab::factored_bf16 {
namespace {

using factored::Codes;
using factored::kBlock;
using factored::kLanes;
using factored::kPackedDepth;
using factored::kParts;
using factored::Places;
using factored::Product;
using factored::Sums;
using Half16 = std::uint16_t;  // the upper half of a float

constexpr std::size_t kWindows = 16;     // of a tile
constexpr std::size_t kMaxTiles = 6;     // of sums
constexpr std::size_t kMaxDepth = 1024;  // of the windows' numbers at a time
constexpr std::size_t kTileWeights = kPackedDepth * kBlock;

inline std::size_t padded(std::size_t depth) {
  return (depth + kPackedDepth - 1) / kPackedDepth * kPackedDepth;
}

inline std::size_t smaller(std::size_t a, std::size_t b) { return a < b ? a : b; }

template <class Code>
void pack_from(const Codes& codes, const Code* from, Half16* to) {
  for (std::size_t block = 0; block < codes.num_blocks; ++block) {
    for (std::size_t depth = 0; depth < padded(codes.depth); depth += 2) {
#pragma GCC unroll 16
      for (int v = 0; v < kParts; ++v) {
        const auto row = [&](std::size_t i) {
          if (i >= codes.depth) return Floats::zero();
          const Floats numbers = Floats::load(from + i * kBlock + v * kLanes);
          if (codes.numbers != nullptr) return numbers;
          return numbers.times(Floats::load(codes.scales + block * kBlock + v * kLanes));
        };
        Tiles::round_pairs(row(depth), row(depth + 1), to + 2 * v * kLanes);
      }
      to += 2 * kBlock;
    }
    from += codes.depth * kBlock;
  }
}

// Weights as `[blocks][padded depth / 2][16][2]`.
inline void pack_over(const Codes& codes, void* weights) {
  auto* to = static_cast<Half16*>(weights);
  if (codes.numbers != nullptr) return pack_from(codes, codes.numbers, to);
  if (codes.bytes != nullptr) return pack_from(codes, codes.bytes, to);
  pack_from(codes, codes.words, to);
}

// 16 windows of which `count` are there; the others are like the last.
struct Windows16 {
  std::size_t x[kWindows];
  std::size_t out[kWindows];
  std::size_t count;

  Windows16(Places& places, std::size_t left) : count(smaller(left, kWindows)) {
    if (count == kWindows) {
      places.take(x, out);
      return;
    }
    std::size_t last_x[1] = {0};
    std::size_t last_out[1] = {0};
    for (std::size_t r = 0; r < kWindows; ++r) {
      if (r < count) places.take(last_x, last_out);
      x[r] = last_x[0];
      out[r] = last_out[0];
    }
  }

  // Whether the outputs of all windows are `step` numbers apart; between rows there are never
  // fewer.
  bool is_even(std::size_t step) const {
    return out[kWindows - 1] == out[0] + (kWindows - 1) * step;
  }
};

// Numbers [from, from + count) to `to`, and up to 31 zeros behind; returns where the zeros end.
inline std::size_t round_numbers(const float* from, std::size_t count, Half16* to) {
  std::size_t i = 0;
  for (; i + 2 * Floats::kLanes <= count; i += 2 * Floats::kLanes) {
    Tiles::round(Floats::load(from + i), Floats::load(from + i + kLanes), to + i);
  }
  for (; i < count; i += Floats::kLanes) {
    const std::size_t left = count - i;
    Tiles::round(left < Floats::kLanes ? Floats::load(from + i, left) : Floats::load(from + i),
                 to + i);
  }
  return i;
}

// `count` numbers of a window, which lie one after the other over its spans, from number `within`
// of a span on.
inline void round_window(const Product& task, const float* x, std::size_t span, std::size_t within,
                         std::size_t count, Half16* to) {
  std::size_t written = 0;
  for (std::size_t place = 0; place < count; ++span, within = 0) {
    const std::size_t part = smaller(task.span - within, count - place);
    written = place + round_numbers(x + task.windows.spans[span] + within, part, to + place);
    place += part;
  }
  for (; written < padded(count); written += Floats::kLanes) {
    Tiles::round(Floats::zero(), to + written);
  }
}

// The numbers of 16 windows, up to kMaxDepth of each at a time.
class Panel {
 public:
  explicit Panel(const Product& task) : task_(task), depth_(task.windows.num_spans * task.span) {}

  std::size_t depth() const { return depth_; }
  std::size_t end(std::size_t begin) const { return smaller(begin + kMaxDepth, depth_); }

  void start() { begin_ = depth_; }

  // Numbers from `begin` on.
  const Half16* take(const Windows16& windows, std::size_t begin) {
    if (begin == begin_) return numbers_;
    const std::size_t count = end(begin) - begin;
    const std::size_t span = begin / task_.span;
    for (std::size_t r = 0; r < kWindows; ++r) {
      round_window(task_, task_.x + windows.x[r], span, begin - span * task_.span, count,
                   numbers_ + r * padded(count));
    }
    begin_ = begin;
    return numbers_;
  }

 private:
  const Product& task_;
  std::size_t depth_;
  std::size_t begin_ = 0;
  alignas(64) Half16 numbers_[kWindows * kMaxDepth + 2 * kPackedDepth];
};

template <int kRows>
void finish_rows(const Product& task, std::size_t column, const std::size_t* out,
                 const float* from) {
  Sums<kRows, kParts> sums{task, column, {}, {}};
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) sums.out[r] = out[r];
  sums.start();
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 16
    for (int v = 0; v < kParts; ++v) {
      sums.total[r][v] = sums.total[r][v].plus(Floats::load(from + r * kBlock + v * kLanes));
    }
  }
  sums.finish();
}

inline void finish_tile(const Product& task, std::size_t column, const Windows16& windows,
                        const float* from) {
  constexpr std::size_t kRows = kLanes == 1 ? 1 : 8;
  std::size_t r = 0;
  for (; r + kRows <= windows.count; r += kRows) {
    finish_rows<kRows>(task, column, windows.out + r, from + r * kBlock);
  }
  for (; r < windows.count; ++r) finish_rows<1>(task, column, windows.out + r, from + r * kBlock);
}

// Whether sums are outputs as they are.
inline bool is_plain(const Product& task) {
  return task.bias == nullptr && task.residual == nullptr && task.low == -__builtin_inff() &&
         task.high == __builtin_inff();
}

// Calls `each.operator()<i>()` for each of [0, kCount).
template <int kCount, class Each>
void for_each_tile(const Each& each) {
  if constexpr (kCount > 0) {
    for_each_tile<kCount - 1>(each);
    each.template operator()<kCount - 1>();
  }
}

struct Zeros {
  Tiles& tiles;

  template <int kTile>
  void operator()() const {
    tiles.template zero<kTile>();
  }
};

struct Products {
  Tiles& tiles;
  const Half16* weights;
  std::size_t block_weights;

  template <int kTile>
  void operator()() const {
    tiles.load_weights(weights + kTile * block_weights);
    tiles.template add_products<kTile>();
  }
};

struct Results {
  Tiles& tiles;
  const Product& task;
  const Windows16& windows;
  std::size_t block;
  bool is_even;  // and plain

  template <int kTile>
  void operator()() const {
    const std::size_t column = (block + kTile) * kBlock;
    if (is_even && column + kBlock <= task.num_outputs) {
      return tiles.template store<kTile>(task.out + windows.out[0] + column, task.out_column);
    }
    alignas(64) float sums[kWindows * kBlock];
    tiles.template store<kTile>(sums, kBlock);
    finish_tile(task, column, windows, sums);
  }
};

template <int kCount>
void multiply_tiles(const Product& task, std::size_t block, const Windows16& windows, bool is_even,
                    Panel& panel, Tiles& tiles) {
  const std::size_t block_weights = padded(panel.depth()) * kBlock;
  const auto* weights = reinterpret_cast<const Half16*>(task.weights) + block * block_weights;
  for_each_tile<kCount>(Zeros{tiles});
  for (std::size_t begin = 0; begin < panel.depth(); begin = panel.end(begin)) {
    const Half16* numbers = panel.take(windows, begin);
    const std::size_t depth = padded(panel.end(begin) - begin);
    for (std::size_t i = 0; i < depth; i += kPackedDepth) {
      tiles.load_x(numbers + i, depth);
      for_each_tile<kCount>(Products{tiles, weights, block_weights});
      weights += kTileWeights;
    }
  }
  for_each_tile<kCount>(Results{tiles, task, windows, block, is_even});
}

struct Multiply {
  const Product& task;
  std::size_t block;
  const Windows16& windows;
  bool is_even;
  Panel& panel;
  Tiles& tiles;

  template <int kCount>
  void operator()() const {
    multiply_tiles<kCount>(task, block, windows, is_even, panel, tiles);
  }
};

inline void multiply_over(const Product& task, std::size_t begin, std::size_t end) {
  const std::size_t num_blocks = (task.num_outputs + kBlock - 1) / kBlock;
  Tiles tiles;
  Panel panel(task);
  Places places(task, begin);
  for (std::size_t window = begin; window < end; window += kWindows) {
    const Windows16 windows(places, end - window);
    const bool is_even =
        is_plain(task) && windows.count == kWindows && windows.is_even(task.out_column);
    panel.start();
    std::size_t block = 0;
    for (std::size_t left = (num_blocks + kMaxTiles - 1) / kMaxTiles; left > 0; --left) {
      const std::size_t count = (num_blocks - block + left - 1) / left;
      factored::with_rows<kMaxTiles>(static_cast<int>(count),
                                     Multiply{task, block, windows, is_even, panel, tiles});
      block += count;
    }
  }
  tiles.release();
}

}  // namespace
}  // namespace quantlab::factored_bf16
