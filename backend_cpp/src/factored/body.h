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

// The places of windows, one after the other.
class Places {
 public:
  Places(const Product& task, std::size_t window)
      : task_(task),
        row_(window / task.windows.num_columns),
        column_(window % task.windows.num_columns) {}

  template <int kRows>
  void take(std::size_t (&x)[kRows], std::size_t (&out)[kRows]) {
    Place place = here();
    if (column_ + kRows <= task_.windows.num_columns) {
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) {
        x[r] = place.x + r * task_.windows.column;
        out[r] = place.out + r * task_.out_column;
      }
      column_ += kRows;
      return;
    }
    for (int r = 0; r < kRows; ++r) {
      if (column_ == task_.windows.num_columns) {
        column_ = 0;
        ++row_;
        place = here();
      }
      x[r] = place.x;
      out[r] = place.out;
      place.x += task_.windows.column;
      place.out += task_.out_column;
      ++column_;
    }
  }

 private:
  Place here() const {
    return {row_ * task_.windows.row + column_ * task_.windows.column,
            row_ * task_.out_row + column_ * task_.out_column};
  }

  const Product& task_;
  std::size_t row_;
  std::size_t column_;
};

// What begins and ends the sums of a tile of `kRows` windows and `kVectors` vectors of outputs.
template <int kRows, int kVectors>
struct Sums {
  const Product& task;
  std::size_t column;  // the first output
  std::size_t out[kRows];
  Floats total[kRows][kVectors > 0 ? kVectors : 1];

  // Whether all outputs of the vectors are outputs of the task.
  bool is_whole() const { return column + kVectors * Floats::kLanes <= task.num_outputs; }

  std::size_t count(int vector) const {
    const std::size_t first = column + vector * Floats::kLanes;
    const std::size_t left = first < task.num_outputs ? task.num_outputs - first : 0;
    return left < Floats::kLanes ? left : Floats::kLanes;
  }

  void start() {
    if (task.bias == nullptr) {
      each([](Floats& sum, std::size_t, int) { sum = Floats::zero(); });
    } else {
      const float* bias = task.bias + column;
      each([&](Floats& sum, std::size_t, int v) { sum = Floats::load(bias + v * kLanes); });
    }
    if (task.residual == nullptr) return;
    const float* residual = task.residual + column;
    if (is_whole()) {
      each([&](Floats& sum, std::size_t place, int v) {
        sum = sum.plus(Floats::load(residual + place + v * kLanes));
      });
      return;
    }
    each([&](Floats& sum, std::size_t place, int v) {
      if (count(v) > 0) sum = sum.plus(Floats::load(residual + place + v * kLanes, count(v)));
    });
  }

  void finish() {
    const Floats low = Floats::splat(task.low);
    const Floats high = Floats::splat(task.high);
    float* to = task.out + column;
    if (is_whole()) {
      each([&](Floats& sum, std::size_t place, int v) {
        sum.clamped(low, high).store(to + place + v * kLanes);
      });
      return;
    }
    each([&](Floats& sum, std::size_t place, int v) {
      if (count(v) > 0) sum.clamped(low, high).store(to + place + v * kLanes, count(v));
    });
  }

 private:
  template <class Each>
  void each(const Each& each) {
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 16
      for (int v = 0; v < kVectors; ++v) each(total[r][v], out[r], v);
    }
  }
};

// The last 8 outputs of a tile. Where a vector has 16, it holds those of two windows.
template <class Vector, int kRows>
struct Halves {
  static constexpr int kPairs = (kRows + 1) / 2;

  const Product& task;
  std::size_t column;
  std::size_t out[kRows];
  Vector total[kPairs];

  // The second window of a pair; the last one again where it is alone.
  static constexpr int second(int pair) { return 2 * pair + 1 < kRows ? 2 * pair + 1 : 2 * pair; }

  void start() {
    const Vector bias = task.bias == nullptr ? Vector::zero() : Vector::load(task.bias + column);
    if (task.residual == nullptr) {
      const Vector both = bias.with_lower(bias);
#pragma GCC unroll 8
      for (int p = 0; p < kPairs; ++p) total[p] = both;
      return;
    }
    const float* residual = task.residual + column;
    const std::size_t count = task.num_outputs - column;
    const auto start_of = [&](int row) {
      return bias.plus(Vector::load(residual + out[row], count));
    };
#pragma GCC unroll 8
    for (int p = 0; p < kPairs; ++p) total[p] = start_of(2 * p).with_lower(start_of(second(p)));
  }

  void add_products(const Vector (&inputs)[kRows], const float* weights) {
    const Vector w = Vector::load_twice(weights);
#pragma GCC unroll 8
    for (int p = 0; p < kPairs; ++p) {
      total[p].add_product(inputs[2 * p].with_upper(inputs[second(p)]), w);
    }
  }

  void finish() {
    const Vector low = Vector::splat(task.low);
    const Vector high = Vector::splat(task.high);
    float* to = task.out + column;
    const std::size_t count = task.num_outputs - column;
#pragma GCC unroll 8
    for (int p = 0; p < kPairs; ++p) {
      const Vector result = total[p].clamped(low, high);
      result.store(to + out[2 * p], count);
      result.upper().store(to + out[second(p)], count);
    }
  }
};

// Blocks of 16 outputs, of which the last may have 8 at most.
template <int kRows, int kBlocks, bool kHasHalf>
void tile(const Product& task, std::size_t block, Places& places) {
  constexpr bool kPairsWindows = kHasHalf && kParts == 1;
  constexpr int kVectors = kBlocks * kParts - (kPairsWindows ? 1 : kHasHalf ? kParts / 2 : 0);
  const std::size_t block_weights = task.windows.num_spans * task.span * kBlock;
  const float* weights = task.weights + block * block_weights;
  std::size_t x[kRows];
  std::size_t out[kRows];
  places.take(x, out);
  Sums<kRows, kVectors> sums{task, block * kBlock, {}, {}};
  Halves<Floats, kRows> halves{task, (block + kBlocks - 1) * kBlock, {}, {}};
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) sums.out[r] = halves.out[r] = out[r];
  sums.start();
  if constexpr (kPairsWindows) halves.start();
  for (std::size_t span = 0; span < task.windows.num_spans; ++span) {
    const float* from[kRows];
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) from[r] = task.x + task.windows.spans[span] + x[r];
    for (std::size_t i = 0; i < task.span; ++i) {
      Floats w[kVectors + 1];
#pragma GCC unroll 16
      for (int v = 0; v < kVectors; ++v) {
        w[v] = Floats::load(weights + v / kParts * block_weights + v % kParts * kLanes);
      }
      Floats inputs[kRows];
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) {
        inputs[r] = Floats::splat(from[r][i]);
#pragma GCC unroll 16
        for (int v = 0; v < kVectors; ++v) sums.total[r][v].add_product(inputs[r], w[v]);
      }
      if constexpr (kPairsWindows) {
        halves.add_products(inputs, weights + (kBlocks - 1) * block_weights);
      }
      weights += kBlock;
    }
  }
  sums.finish();
  if constexpr (kPairsWindows) halves.finish();
}

// Windows of a row whose neighbors share numbers: those of `kStride` spans are the next window's.
template <int kRows, int kRun, int kStride>
void runs_tile(const Product& task, std::size_t column, Place place) {
  Sums<kRows, 1> sums{task, column, {}, {}};
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) sums.out[r] = place.out + r * task.out_column;
  sums.start();
  const float* x = task.x + place.x + column;
  const float* weights =
      task.weights + column / kBlock * task.windows.num_spans * kBlock + column % kBlock;
  const std::size_t step = task.windows.column / kStride;
  for (std::size_t span = 0; span < task.windows.num_spans; span += kRun) {
    const float* from = x + task.windows.spans[span];
    Floats w[kRun];
#pragma GCC unroll 8
    for (int i = 0; i < kRun; ++i) w[i] = Floats::load(weights + i * kBlock);
    weights += kRun * kBlock;
#pragma GCC unroll 64
    for (int j = 0; j < (kRows - 1) * kStride + kRun; ++j) {
      const Floats input = Floats::load(from);
      from += step;
#pragma GCC unroll 8
      for (int i = 0; i < kRun; ++i) {
        if ((j - i) % kStride == 0 && j - i >= 0 && (j - i) / kStride < kRows) {
          sums.total[(j - i) / kStride][0].add_product(input, w[i]);
        }
      }
    }
  }
  sums.finish();
}

template <int kRows>
void channels_tile(const Product& task, std::size_t column, Place place) {
  Sums<kRows, 1> sums{task, column, {}, {}};
  const float* x[kRows];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
    x[r] = task.x + place.x + r * task.windows.column + column;
    sums.out[r] = place.out + r * task.out_column;
  }
  sums.start();
  const float* weights =
      task.weights + column / kBlock * task.windows.num_spans * kBlock + column % kBlock;
  for (std::size_t span = 0; span < task.windows.num_spans; ++span) {
    const Floats w = Floats::load(weights + span * kBlock);
    const std::size_t offset = task.windows.spans[span];
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) sums.total[r][0].add_product(Floats::load(x[r] + offset), w);
  }
  sums.finish();
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

template <int kBlocks, bool kHasHalf>
struct BlockTiles {
  const Product& task;
  std::size_t block;
  Places& places;

  template <int kRows>
  void operator()() const {
    tile<kRows, kBlocks, kHasHalf>(task, block, places);
  }
};

// Panels of neighboring blocks: `num_blocks` of them from one on.
struct Panel {
  std::size_t block;
  std::size_t num_blocks;
  bool has_half;
};

template <int kBlocks, bool kHasHalf>
void multiply_blocks(const Product& task, const Panel& panel, std::size_t begin, std::size_t end) {
  Places places(task, begin);
  over_tiles<max_rows(kBlocks)>(end - begin,
                                BlockTiles<kBlocks, kHasHalf>{task, panel.block, places});
}

template <int kBlocks>
void multiply_panel(const Product& task, const Panel& panel, std::size_t begin, std::size_t end) {
  if constexpr (kBlocks > 1) {
    if (panel.num_blocks < kBlocks) return multiply_panel<kBlocks - 1>(task, panel, begin, end);
  }
  if (panel.has_half) return multiply_blocks<kBlocks, true>(task, panel, begin, end);
  multiply_blocks<kBlocks, false>(task, panel, begin, end);
}

inline void multiply_over(const Product& task, std::size_t begin, std::size_t end) {
  if (begin == end) return;
  const std::size_t num_blocks = (task.num_outputs + kBlock - 1) / kBlock;
  const std::size_t in_last = task.num_outputs - (num_blocks - 1) * kBlock;
  std::size_t num_panels = (num_blocks + kMaxBlocks - 1) / kMaxBlocks;
  std::size_t block = 0;
  while (num_panels > 0) {
    const std::size_t wide = (num_blocks - block + num_panels - 1) / num_panels;
    const bool has_half = num_panels == 1 && in_last <= kBlock / 2;
    multiply_panel<kMaxBlocks>(task, {block, wide, has_half}, begin, end);
    block += wide;
    --num_panels;
  }
}

// Windows of one row, of which `place` is the next one.
template <int kRun, int kStride>
struct ChannelTiles {
  const Product& task;
  std::size_t column;
  Place& place;

  template <int kRows>
  void operator()() const {
    if constexpr (kRun > 1) {
      runs_tile<kRows, kRun, kStride>(task, column, place);
    } else {
      channels_tile<kRows>(task, column, place);
    }
    place.x += kRows * task.windows.column;
    place.out += kRows * task.out_column;
  }
};

template <int kRun, int kStride>
void multiply_channels_rows(const Product& task, std::size_t begin, std::size_t end) {
  constexpr int kMost = kLanes == 1 ? 1 : kLanes == 16 && kRun > 1 ? 16 : 8;
  for (std::size_t column = 0; column < task.num_outputs; column += Floats::kLanes) {
    for (std::size_t row = begin; row < end; ++row) {
      Place place{row * task.windows.row, row * task.out_row};
      over_tiles<kMost>(task.windows.num_columns, ChannelTiles<kRun, kStride>{task, column, place});
    }
  }
}

inline void multiply_channels_over(const Product& task, std::size_t begin, std::size_t end) {
  if (task.run == 3 && task.stride == 1) return multiply_channels_rows<3, 1>(task, begin, end);
  if (task.run == 3 && task.stride == 2) return multiply_channels_rows<3, 2>(task, begin, end);
  multiply_channels_rows<1, 1>(task, begin, end);
}

template <class Code>
void expand_codes(const Codes& codes, const Code* from, float* weights) {
  for (std::size_t block = 0; block < codes.num_blocks; ++block) {
    Floats scales[kParts];
#pragma GCC unroll 16
    for (int v = 0; v < kParts; ++v) {
      scales[v] = Floats::load(codes.scales + block * kBlock + v * kLanes);
    }
    for (std::size_t i = 0; i < codes.depth; ++i) {
#pragma GCC unroll 16
      for (int v = 0; v < kParts; ++v) {
        Floats::load(from + v * kLanes).times(scales[v]).store(weights + v * kLanes);
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
void over_pools(const Pool& task, std::size_t begin, std::size_t end, const Window& window) {
  float* out = task.out + begin * task.num_columns * task.channels;
  for (std::size_t row = begin; row < end; ++row) {
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

inline void max_pool_over(const Pool& task, std::size_t begin, std::size_t end) {
  over_pools(task, begin, end, [&](Range rows, Range columns, std::size_t c, std::size_t count) {
    return pooled(task, rows, columns, c, count, Floats::splat(-__builtin_inff()),
                  [](Floats a, Floats b) { return a.larger(b); });
  });
}

inline void average_pool_over(const Pool& task, std::size_t begin, std::size_t end) {
  over_pools(task, begin, end, [&](Range rows, Range columns, std::size_t c, std::size_t count) {
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
