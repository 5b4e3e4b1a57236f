// The kernel, written once over the `Lanes` of an instruction set. Each stage keeps the sums of a
// tile in registers; what lies between the stages stays in the caches.
#pragma once

#include <cstddef>
#include <cstdint>

#include "convolve_stages/unit.h"
#include "requantize/finish.h"

namespace quantlab::convolve_stages {
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

constexpr std::size_t kPair = 2;
constexpr std::size_t kPartPixels = 192;  // whose words stay in the first cache
constexpr std::size_t kStrip = 32;        // pixels whose sums are finished at once

// Pixels of an image one after the other, from the beginning of a row on.
class Pixels {
 public:
  // row, column: from one to the next.
  Pixels(std::size_t num_columns, std::size_t row, std::size_t column)
      : num_columns_(num_columns), row_(row), column_(column) {}

  // Where the next of `count` pixels lies; no row has some of them alone.
  std::size_t next(std::size_t count) {
    const std::size_t place = begin_ + at_ * column_;
    at_ += count;
    if (at_ == num_columns_) {
      at_ = 0;
      begin_ += row_;
    }
    return place;
  }

  // Where the next pixels lie, of which `num_left` are there; beyond them the last one again.
  template <int kRows>
  void take(std::size_t num_left, std::size_t (&places)[kRows]) {
    if (num_left >= kRows && at_ + kRows < num_columns_) {  // all in a row, and no last one
      for (int r = 0; r < kRows; ++r) places[r] = begin_ + (at_ + r) * column_;
      at_ += kRows;
      return;
    }
    for (int r = 0; r < kRows; ++r) {
      places[r] = begin_ + at_ * column_;
      if (static_cast<std::size_t>(r) + 1 < num_left && ++at_ == num_columns_) {
        at_ = 0;
        begin_ += row_;
      }
    }
  }

 private:
  std::size_t num_columns_;
  std::size_t row_;
  std::size_t column_;
  std::size_t begin_ = 0;
  std::size_t at_ = 0;
};

// The sums of `kRows` pixels for `kBlocks` blocks, to `sums` `[kRows][kBlocks * 16]`.
template <class Type, int kBlocks, int kRows>
__attribute__((noinline)) void point_tile(const Point& point, std::size_t block,
                                          const typename Type::Number* const (&x)[kRows],
                                          std::int32_t* sums) {
  constexpr std::size_t kChunkWeights = kLanes * Type::kChunk;
  const std::size_t block_weights = point.num_chunks * kChunkWeights;
  const auto* weights =
      static_cast<const typename Type::Weight*>(point.weights) + block * block_weights;
  Lanes total[kRows][kBlocks];
#pragma GCC unroll 4
  for (int b = 0; b < kBlocks; ++b) {
    const Lanes start = Lanes::load(point.bias + (block + b) * kLanes);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) total[r][b] = start;
  }
  for (std::size_t chunk = 0; chunk < point.num_chunks; ++chunk) {
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
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int b = 0; b < kBlocks; ++b) total[r][b].store(sums + (r * kBlocks + b) * kLanes);
  }
}

// Some pixels through the first Point, from `x` to `u`, where the first of them lie.
template <class Type, int kBlocks>
void enter(const Task& task, std::size_t block, const typename Type::Number* x, Pixels from,
           std::int16_t* u, Pixels to, std::size_t num_pixels) {
  constexpr int kRows = Lanes::rows(kBlocks);
  const Lanes shift = Lanes::splat(task.entry_shift);
  alignas(64) std::int32_t sums[kRows * kBlocks * kLanes];
  for (std::size_t done = 0; done < num_pixels; done += kRows) {
    const typename Type::Number* at[kRows];
    std::size_t places[kRows];
    from.take(num_pixels - done, places);
    for (int r = 0; r < kRows; ++r) at[r] = x + places[r];
    point_tile<Type, kBlocks, kRows>(task.entry, block, at, sums);
    to.take(num_pixels - done, places);
    for (int r = 0; r < kRows; ++r) {
      for (int b = 0; b < kBlocks; ++b) {
        const Lanes total = Lanes::load(sums + (r * kBlocks + b) * kLanes);
        shifted(total, shift).saturate(u + places[r] + (block + b) * kLanes);
      }
    }
  }
}

// Calls `call(block, num_blocks)` for blocks in even panels of at most `Lanes::kMaxBlocks`.
template <class Call>
inline void over_panels(std::size_t num_blocks, const Call& call) {
  const std::size_t most = Lanes::kMaxBlocks;
  const std::size_t num_panels = (num_blocks + most - 1) / most;
  std::size_t block = 0;
  for (std::size_t panel = 0; panel < num_panels; ++panel) {
    const std::size_t count = (num_blocks - block + num_panels - panel - 1) / (num_panels - panel);
    call(block, static_cast<int>(count));
    block += count;
  }
}

template <class Type>
void enter_all(const Task& task, const void* x, std::size_t offset, const Pixels& from,
               std::int16_t* u, const Pixels& to, std::size_t num_pixels) {
  const auto* at = static_cast<const typename Type::Number*>(x) + offset;
  over_panels(task.entry.num_blocks, [&](std::size_t block, int count) {
    if constexpr (Lanes::kMaxBlocks == 4) {
      switch (count) {
        case 4:
          return enter<Type, 4>(task, block, at, from, u, to, num_pixels);
        case 3:
          return enter<Type, 3>(task, block, at, from, u, to, num_pixels);
        case 2:
          return enter<Type, 2>(task, block, at, from, u, to, num_pixels);
        default:
          break;
      }
    }
    enter<Type, 1>(task, block, at, from, u, to, num_pixels);
  });
}

// The pixels of the input from the number `offset` on, one after the other as `from` has them.
inline void enter_some(const Task& task, std::size_t offset, const Pixels& from, std::int16_t* u,
                       const Pixels& to, std::size_t num_pixels) {
  if (task.is_words) {
    enter_all<Words>(task, task.x, offset, from, u, to, num_pixels);
  } else {
    enter_all<Bytes>(task, task.x, offset, from, u, to, num_pixels);
  }
}

inline void clear(std::int16_t* from, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) from[i] = 0;
}

inline std::size_t within(std::size_t x, std::size_t low, std::size_t high) {
  return x < low ? low : x < high ? x : high;
}

// All that the kernels read for rows [begin, end) of the results.
inline void enter_padded(const Task& task, std::size_t image, std::size_t begin, std::size_t end,
                         std::int16_t* u) {
  const std::size_t pixel = words_entered(task);
  const std::size_t row = task.padded_width * pixel;
  const std::size_t top = task.kernels.before[0];
  const std::size_t left = task.kernels.before[1];
  const std::size_t first = begin * task.kernels.stride[0];  // rows counted with the padding
  const std::size_t last = first + num_rows_read(task, end - begin);
  const std::size_t from = within(top, first, last);
  const std::size_t to = within(top + task.height, from, last);
  clear(u, (from - first) * row);
  clear(u + (to - first) * row, (last - to) * row);
  if (from == to) return;
  const std::size_t behind = left + task.width;
  for (std::size_t i = from - first; i < to - first; ++i) {
    clear(u + i * row, left * pixel);
    clear(u + i * row + behind * pixel, (task.padded_width - behind) * pixel);
  }
  std::int16_t* const inside = u + (from - first) * row + left * pixel;
  const std::size_t offset = (image * task.height + from - top) * task.width * task.channels;
  enter_some(task, offset, Pixels(task.width, task.width * task.channels, task.channels), inside,
             Pixels(task.width, row, pixel), (to - from) * task.width);
}

// Without kernels: the pixels of rows [begin, end) of the results.
inline void enter_strided(const Task& task, std::size_t image, std::size_t begin, std::size_t end,
                          std::int16_t* t) {
  const std::size_t row = task.kernels.stride[0] * task.width * task.channels;
  const std::size_t offset = image * task.height * task.width * task.channels + begin * row;
  const std::size_t pixel = words_entered(task);
  enter_some(task, offset, Pixels(task.num_columns, row, task.kernels.stride[1] * task.channels), t,
             Pixels(task.num_columns, task.num_columns * pixel, pixel),
             (end - begin) * task.num_columns);
}

constexpr int kKernelRows = Lanes::kMaxBlocks == 4 ? 8 : 4;
using KernelPlaces = const std::int16_t* const (&)[kKernelRows];

// How the sums of pixels leave: as they are, or as words.
struct Sums {
  std::int32_t* to;
  void put(int row, Lanes sums) const { sums.store(to + row * kLanes); }
};

struct ShiftedWords {
  std::int16_t* to;
  std::size_t pixel;
  Lanes shift;
  void put(int row, Lanes sums) const { shifted(sums, shift).saturate(to + row * pixel); }
};

// The sums of some pixels for the 16 outputs of a block.
template <class End>
__attribute__((noinline)) void kernel_tile(const Kernels& kernels, std::size_t block,
                                           KernelPlaces x, const End& end) {
  constexpr std::size_t kPairs = kLanes * kPair;
  const std::int16_t* weights = kernels.weights + block * kernels.num_taps * kPairs;
  const Lanes start = Lanes::load(kernels.bias + block * kLanes);
  Lanes total[kKernelRows];
#pragma GCC unroll 8
  for (int r = 0; r < kKernelRows; ++r) total[r] = start;
  for (std::size_t tap = 0; tap < kernels.num_taps; ++tap) {
    const std::size_t offset = kernels.taps[tap];
    const WeightWords w = WeightWords::load(weights);
#pragma GCC unroll 8
    for (int r = 0; r < kKernelRows; ++r) {
      total[r] = dot(total[r], WeightWords::load(x[r] + offset), w);
    }
    weights += kPairs;
  }
#pragma GCC unroll 8
  for (int r = 0; r < kKernelRows; ++r) end.put(r, total[r]);
}

// The same of neighbors in a row, for kernels that are three columns wide and move by one: what
// three of them read is loaded once. x: of the first pixel.
template <class End>
__attribute__((noinline)) void row_tile(const Task& task, std::size_t block, const std::int16_t* x,
                                        const End& end) {
  constexpr std::size_t kPairs = kLanes * kPair;
  constexpr int kWide = 3;
  const Kernels& kernels = task.kernels;
  const std::size_t pixel = words_entered(task);
  const std::int16_t* weights = kernels.weights + block * kernels.num_taps * kPairs;
  const Lanes start = Lanes::load(kernels.bias + block * kLanes);
  Lanes total[kKernelRows];
#pragma GCC unroll 8
  for (int r = 0; r < kKernelRows; ++r) total[r] = start;
  for (std::size_t tap = 0; tap < kernels.num_taps; tap += kWide) {
    const std::int16_t* from = x + kernels.taps[tap];
    WeightWords w[kWide];
#pragma GCC unroll 3
    for (int i = 0; i < kWide; ++i) w[i] = WeightWords::load(weights + i * kPairs);
#pragma GCC unroll 10
    for (int column = 0; column < kKernelRows + kWide - 1; ++column) {
      const WeightWords pairs = WeightWords::hold(from);
#pragma GCC unroll 3
      for (int i = 0; i < kWide; ++i) {
        const int r = column - i;
        if (r >= 0 && r < kKernelRows) total[r] = dot(total[r], pairs, w[i]);
      }
      from += pixel;
    }
    weights += kWide * kPairs;
  }
#pragma GCC unroll 8
  for (int r = 0; r < kKernelRows; ++r) end.put(r, total[r]);
}

// Pixels of what the kernels read, for the outputs of a block, some at a time.
class Read {
 public:
  Read(const Task& task, std::size_t block, std::size_t num_pixels, const std::int16_t* u)
      : task_(task),
        block_(block),
        is_by_rows_(task.kernels.has_neighbors && task.num_columns % kKernelRows == 0),
        pixels_(task.num_columns, task.kernels.stride[0] * task.padded_width * words_entered(task),
                task.kernels.stride[1] * words_entered(task)),
        left_(num_pixels),
        u_(u + block * kLanes * kPair) {}

  template <class End>
  void next(const End& end) {
    if (is_by_rows_) {
      row_tile(task_, block_, u_ + pixels_.next(kKernelRows), end);
      return;
    }
    std::size_t places[kKernelRows];
    const std::int16_t* x[kKernelRows];
    pixels_.take(left_, places);
    left_ -= kKernelRows;
    for (int r = 0; r < kKernelRows; ++r) x[r] = u_ + places[r];
    kernel_tile(task_.kernels, block_, x, end);
  }

 private:
  const Task& task_;
  std::size_t block_;
  bool is_by_rows_;
  Pixels pixels_;
  std::size_t left_;
  const std::int16_t* u_;
};

// `t` has room for `kKernelRows` pixels more.
inline void make_words(const Task& task, std::size_t num_pixels, const std::int16_t* u,
                       std::int16_t* t) {
  const Lanes shift = Lanes::splat(task.kernel_shift);
  const std::size_t made = words_made(task);
  for (std::size_t block = 0; block < task.kernels.num_blocks; ++block) {
    Read read(task, block, num_pixels, u);
    for (std::size_t done = 0; done < num_pixels; done += kKernelRows) {
      read.next(ShiftedWords{t + done * made + block * kLanes, made, shift});
    }
  }
}

// Without an exit the kernels' sums are the results. first: pixel of the results.
inline void make_results(const Task& task, std::size_t first, std::size_t num_pixels,
                         const std::int16_t* u) {
  alignas(64) std::int32_t sums[kStrip * kLanes];
  for (std::size_t block = 0; block < task.kernels.num_blocks; ++block) {
    const std::size_t channel = block * kLanes;
    const std::size_t left = task.num_outputs - channel;
    const Outputs outputs{channel, left < kLanes ? left : kLanes, channel};
    Read read(task, block, num_pixels, u);
    for (std::size_t strip = 0; strip < num_pixels; strip += kStrip) {
      const std::size_t count = num_pixels - strip < kStrip ? num_pixels - strip : kStrip;
      for (std::size_t done = 0; done < count; done += kKernelRows) {
        read.next(Sums{sums + done * kLanes});
      }
      finish(task.results, task.num_outputs, outputs, sums, kLanes, first + strip, count);
    }
  }
}

// The last Point, of pixels [begin, end) of `t`. first: pixel of the results that t begins with.
template <int kBlocks>
void leave(const Task& task, std::size_t block, std::size_t first, std::size_t begin,
           std::size_t end, const std::int16_t* t) {
  constexpr int kRows = Lanes::rows(kBlocks);
  constexpr std::size_t kWhole = (kStrip + kRows - 1) / kRows * kRows;
  constexpr std::size_t kSums = kBlocks * kLanes;
  alignas(64) std::int32_t sums[kWhole * kSums];
  const std::size_t made = words_made(task);
  const std::size_t channel = block * kLanes;
  const std::size_t left = task.num_outputs - channel;
  const Outputs outputs{channel, left < kSums ? left : kSums, channel};
  for (std::size_t strip = begin; strip < end; strip += kWhole) {
    const std::size_t count = end - strip < kWhole ? end - strip : kWhole;
    for (std::size_t done = 0; done < count; done += kRows) {
      const std::int16_t* from[kRows];
      for (int r = 0; r < kRows; ++r) {
        const std::size_t at = done + r < count ? done + r : count - 1;
        from[r] = t + (strip + at) * made;
      }
      point_tile<Words, kBlocks, kRows>(task.exit, block, from, sums + done * kSums);
    }
    finish(task.results, task.num_outputs, outputs, sums, kSums, first + strip, count);
  }
}

inline void leave_all(const Task& task, std::size_t first, std::size_t num_pixels,
                      const std::int16_t* t) {
  for (std::size_t begin = 0; begin < num_pixels; begin += kPartPixels) {
    const std::size_t end = num_pixels - begin < kPartPixels ? num_pixels : begin + kPartPixels;
    over_panels(task.exit.num_blocks, [&](std::size_t block, int count) {
      if constexpr (Lanes::kMaxBlocks == 4) {
        switch (count) {
          case 4:
            return leave<4>(task, block, first, begin, end, t);
          case 3:
            return leave<3>(task, block, first, begin, end, t);
          case 2:
            return leave<2>(task, block, first, begin, end, t);
          default:
            break;
        }
      }
      leave<1>(task, block, first, begin, end, t);
    });
  }
}

inline void convolve_rows(const Task& task, std::size_t image, std::size_t begin, std::size_t end,
                          std::int16_t* u, std::int16_t* t) {
  const std::size_t num_pixels = (end - begin) * task.num_columns;
  const std::size_t first = (image * task.num_rows + begin) * task.num_columns;
  if (task.has_kernels) {
    enter_padded(task, image, begin, end, u);
    if (!task.has_exit) return make_results(task, first, num_pixels, u);
    make_words(task, num_pixels, u, t);
  } else {
    enter_strided(task, image, begin, end, t);
  }
  leave_all(task, first, num_pixels, t);
}

}  // namespace
}  // namespace quantlab::convolve_stages
