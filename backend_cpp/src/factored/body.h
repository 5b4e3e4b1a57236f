// The kernels, written once over the `Floats` of an instruction set: tiles of some windows and some
// blocks of 16 outputs, whose sums stay in registers. A sum has the same order in every tile.
#pragma once

#include <cstddef>
#include <cstdint>

#include "factored/unit.h"

namespace quantlab::factored {
namespace {

constexpr int kLanes = static_cast<int>(Floats::kLanes);
constexpr int kParts = static_cast<int>(kBlock) / kLanes;  // vectors of a block
constexpr int kMaxBlocks = kLanes == 16 ? 4 : 1;

// So many windows and blocks of a tile leave registers for weights and one number of x.
constexpr int max_rows(int num_blocks) {
  if (kLanes == 16) return num_blocks == 4 ? 6 : 8;
  return kLanes == 8 ? 6 : 1;
}

// Where a window's numbers are, and where its outputs go.
struct Place {
  std::size_t x;
  std::size_t out;
};

class Places {
 public:
  Places(const Product& task, std::size_t window)
      : task_(task),
        column_(window % task.windows.num_columns),
        row_(window / task.windows.num_columns) {}

  Place next() {
    const Place place{row_ * task_.windows.row + column_ * task_.windows.column,
                      row_ * task_.out_row + column_ * task_.out_column};
    if (++column_ == task_.windows.num_columns) {
      column_ = 0;
      ++row_;
    }
    return place;
  }

 private:
  const Product& task_;
  std::size_t column_;
  std::size_t row_;
};

// The part of a tile that one vector has of `num_outputs` outputs, the first of which is `column`.
struct Columns {
  std::size_t column;
  std::size_t count;  // of outputs in the vector: 0 or more
};

inline Columns columns_of(const Product& task, std::size_t column) {
  const std::size_t left = column < task.num_outputs ? task.num_outputs - column : 0;
  return {column, left < Floats::kLanes ? left : Floats::kLanes};
}

inline Floats start_of(const Product& task, std::size_t out, Columns columns) {
  Floats start = Floats::zero();
  if (task.bias != nullptr) start = Floats::load(task.bias + columns.column);
  if (task.residual == nullptr || columns.count == 0) return start;
  const float* residual = task.residual + out + columns.column;
  return start.plus(columns.count == Floats::kLanes ? Floats::load(residual)
                                                    : Floats::load(residual, columns.count));
}

inline void finish(const Product& task, Floats total, std::size_t out, Columns columns) {
  const Floats result = total.clamped(Floats::splat(task.low), Floats::splat(task.high));
  float* to = task.out + out + columns.column;
  if (columns.count == Floats::kLanes) {
    result.store(to);
  } else if (columns.count > 0) {
    result.store(to, columns.count);
  }
}

template <int kRows, int kBlocks>
void tile(const Product& task, std::size_t block, Places& places) {
  constexpr int kVectors = kBlocks * kParts;
  const std::size_t block_weights = task.windows.num_spans * task.span * kBlock;
  const float* weights = task.weights + block * block_weights;
  const float* x[kRows];
  std::size_t out[kRows];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
    const Place place = places.next();
    x[r] = task.x + place.x;
    out[r] = place.out;
  }
  Floats total[kRows][kVectors];
#pragma GCC unroll 16
  for (int v = 0; v < kVectors; ++v) {
    const Columns columns = columns_of(task, block * kBlock + v * Floats::kLanes);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) total[r][v] = start_of(task, out[r], columns);
  }
  for (std::size_t span = 0; span < task.windows.num_spans; ++span) {
    const std::size_t offset = task.windows.spans[span];
    for (std::size_t i = 0; i < task.span; ++i) {
      Floats w[kVectors];
#pragma GCC unroll 16
      for (int v = 0; v < kVectors; ++v) {
        w[v] = Floats::load(weights + v / kParts * block_weights + v % kParts * kLanes);
      }
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) {
        const Floats input = Floats::splat(x[r][offset + i]);
#pragma GCC unroll 16
        for (int v = 0; v < kVectors; ++v) total[r][v].add_product(input, w[v]);
      }
      weights += kBlock;
    }
  }
#pragma GCC unroll 16
  for (int v = 0; v < kVectors; ++v) {
    const Columns columns = columns_of(task, block * kBlock + v * Floats::kLanes);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) finish(task, total[r][v], out[r], columns);
  }
}

template <int kVectors, int kRows>
void channels_tile(const Product& task, std::size_t block, Places& places) {
  const float* x[kRows];
  std::size_t out[kRows];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
    const Place place = places.next();
    x[r] = task.x + place.x + block * kBlock;
    out[r] = place.out;
  }
  const std::size_t num_spans = task.windows.num_spans;
  const float* weights = task.weights + block * num_spans * kBlock;
  for (int v = 0; v < kVectors; ++v) {
    const Columns columns = columns_of(task, block * kBlock + v * Floats::kLanes);
    Floats total[kRows];
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) total[r] = start_of(task, out[r], columns);
    for (std::size_t span = 0; span < num_spans; ++span) {
      const Floats w = Floats::load(weights + span * kBlock + v * Floats::kLanes);
      const std::size_t offset = task.windows.spans[span] + v * Floats::kLanes;
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) total[r].add_product(Floats::load(x[r] + offset), w);
    }
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) finish(task, total[r], out[r], columns);
  }
}

// Calls `run` with the number of windows of each tile as a constant: tiles of about equal size, of
// at most `kMost`.
template <int kRows, class Run>
void with_rows(int rows, const Run& run) {
  if constexpr (kRows > 1) {
    if (rows < kRows) return with_rows<kRows - 1>(rows, run);
  }
  run.template operator()<kRows>();
}

template <int kMost, class Run>
void over_tiles(std::size_t count, const Run& run) {
  std::size_t num_tiles = (count + kMost - 1) / kMost;
  while (num_tiles > 0) {
    const std::size_t rows = (count + num_tiles - 1) / num_tiles;
    with_rows<kMost>(static_cast<int>(rows), run);
    count -= rows;
    --num_tiles;
  }
}

template <int kBlocks>
struct Tiles {
  const Product& task;
  std::size_t block;
  Places& places;

  template <int kRows>
  void operator()() const {
    tile<kRows, kBlocks>(task, block, places);
  }
};

template <int kBlocks>
void multiply_blocks(const Product& task, std::size_t block, std::size_t begin, std::size_t end) {
  Places places(task, begin);
  over_tiles<max_rows(kBlocks)>(end - begin, Tiles<kBlocks>{task, block, places});
}

inline void multiply_some(const Product& task, std::size_t block, std::size_t num_blocks,
                          std::size_t begin, std::size_t end) {
  if constexpr (kMaxBlocks == 4) {
    switch (num_blocks) {
      case 4:
        return multiply_blocks<4>(task, block, begin, end);
      case 3:
        return multiply_blocks<3>(task, block, begin, end);
      case 2:
        return multiply_blocks<2>(task, block, begin, end);
      default:
        break;
    }
  }
  multiply_blocks<1>(task, block, begin, end);
}

inline void multiply_over(const Product& task, std::size_t begin, std::size_t end) {
  if (begin == end) return;
  const std::size_t num_blocks = (task.num_outputs + kBlock - 1) / kBlock;
  std::size_t num_panels = (num_blocks + kMaxBlocks - 1) / kMaxBlocks;
  std::size_t block = 0;
  while (num_panels > 0) {
    const std::size_t wide = (num_blocks - block + num_panels - 1) / num_panels;
    multiply_some(task, block, wide, begin, end);
    block += wide;
    --num_panels;
  }
}

struct ChannelTiles {
  const Product& task;
  std::size_t block;
  Places& places;

  template <int kRows>
  void operator()() const {
    channels_tile<kParts, kRows>(task, block, places);
  }
};

inline void multiply_channels_over(const Product& task, std::size_t begin, std::size_t end) {
  constexpr int kMost = kLanes == 1 ? 1 : 8;
  const std::size_t num_blocks = (task.num_outputs + kBlock - 1) / kBlock;
  for (std::size_t block = 0; block < num_blocks; ++block) {
    Places places(task, begin);
    over_tiles<kMost>(end - begin, ChannelTiles{task, block, places});
  }
}

template <class Code>
void expand_codes(const Codes& codes, const Code* from, float* weights) {
  for (std::size_t block = 0; block < codes.num_blocks; ++block) {
    const float* scales = codes.scales + block * kBlock;
    for (std::size_t i = 0; i < codes.depth; ++i) {
      for (std::size_t c = 0; c < kBlock; ++c) {
        weights[c] = scales[c] * static_cast<float>(from[c]);
      }
      weights += kBlock;
      from += kBlock;
    }
  }
}

inline void expand_over(const Codes& codes, float* weights) {
  if (codes.bytes != nullptr) {
    expand_codes(codes, codes.bytes, weights);
  } else {
    expand_codes(codes, codes.words, weights);
  }
}

// The rows or columns of a window that lie in the image: [first, last).
struct Range {
  std::size_t first;
  std::size_t last;
};

inline Range inside(std::size_t window, std::size_t stride, std::size_t padding, std::size_t kernel,
                    std::size_t size) {
  const std::size_t begin = window * stride;  // of the padded image
  const std::size_t end = begin + kernel;
  return {begin > padding ? begin - padding : 0,
          end <= padding ? 0 : (end - padding < size ? end - padding : size)};
}

template <class Window>
void over_pools(const Pool& task, const Window& window) {
  float* out = task.out;
  for (std::size_t row = 0; row < task.num_rows; ++row) {
    const Range rows =
        inside(row, task.stride_rows, task.padding_rows, task.kernel_rows, task.height);
    for (std::size_t column = 0; column < task.num_columns; ++column) {
      const Range columns = inside(column, task.stride_columns, task.padding_columns,
                                   task.kernel_columns, task.width);
      for (std::size_t c = 0; c < task.channels; c += Floats::kLanes) {
        const std::size_t left = task.channels - c;
        const std::size_t count = left < Floats::kLanes ? left : Floats::kLanes;
        window(rows, columns, c, count).store(out + c, count);
      }
      out += task.channels;
    }
  }
}

inline Floats pooled(const Pool& task, Range rows, Range columns, std::size_t c, std::size_t count,
                     Floats start, Floats (*both)(Floats, Floats)) {
  for (std::size_t row = rows.first; row < rows.last; ++row) {
    for (std::size_t column = columns.first; column < columns.last; ++column) {
      const float* x = task.x + (row * task.width + column) * task.channels + c;
      start = both(start, Floats::load(x, count));
    }
  }
  return start;
}

inline void max_pool_over(const Pool& task) {
  over_pools(task, [&](Range rows, Range columns, std::size_t c, std::size_t count) {
    return pooled(task, rows, columns, c, count, Floats::splat(-__builtin_inff()),
                  [](Floats a, Floats b) { return a.larger(b); });
  });
}

inline void average_pool_over(const Pool& task) {
  over_pools(task, [&](Range rows, Range columns, std::size_t c, std::size_t count) {
    const std::size_t size = task.counts_padding
                                 ? task.kernel_rows * task.kernel_columns
                                 : (rows.last - rows.first) * (columns.last - columns.first);
    return pooled(task, rows, columns, c, count, Floats::zero(),
                  [](Floats a, Floats b) { return a.plus(b); })
        .times(Floats::splat(1.0f / static_cast<float>(size)));
  });
}

inline void add_over(const float* x, const float* y, std::size_t size, float low, float high,
                     float* out) {
  const Floats lowest = Floats::splat(low);
  const Floats highest = Floats::splat(high);
  std::size_t i = 0;
  for (; i + Floats::kLanes <= size; i += Floats::kLanes) {
    Floats::load(x + i).plus(Floats::load(y + i)).clamped(lowest, highest).store(out + i);
  }
  if (i == size) return;
  Floats::load(x + i, size - i)
      .plus(Floats::load(y + i, size - i))
      .clamped(lowest, highest)
      .store(out + i, size - i);
}

inline std::size_t peak_of(std::size_t repeats) {
  constexpr int kSums = 12;
  float numbers[kSums * Floats::kLanes] = {};
  Floats total[kSums];
  for (int i = 0; i < kSums; ++i) numbers[i * kLanes] = static_cast<float>(i);  // no two alike
  __asm__ volatile("" : : "r"(numbers) : "memory");
#pragma GCC unroll 12
  for (int i = 0; i < kSums; ++i) total[i] = Floats::load(numbers + i * kLanes);
  Floats a = Floats::load(numbers);
  Floats b = Floats::load(numbers);
  for (std::size_t done = 0; done < repeats; ++done) {
#pragma GCC unroll 12
    for (int i = 0; i < kSums; ++i) total[i].add_product(a, b);
    __asm__ volatile("" : "+m"(numbers));
  }
#pragma GCC unroll 12
  for (int i = 0; i < kSums; ++i) total[i].store(numbers + i * kLanes);
  __asm__ volatile("" : : "r"(numbers) : "memory");
  return repeats * kSums * Floats::kLanes;
}

}  // namespace
}  // namespace quantlab::factored
