// The kernel, written once over the vectors of quantlab/bytes: a tile of sums stays in registers
// while the row's connections are gone through, four at a time.
#pragma once

#include <cstddef>
#include <cstdint>

#include "sparse_product_int8/unit.h"

namespace quantlab::sparse_product_int8 {
namespace {

// `count` is less than all only for a single vector that is not whole.
template <int kSize, bool kWhole>
void multiply_row(const Task& task, std::size_t row, const std::uint8_t* x, float* out,
                  std::size_t count) {
  const auto read = [&](const std::uint8_t* from) {
    if constexpr (kWhole) return Bytes::load(from);
    return Bytes::load(from, count);
  };
  Sums sums[kSize];
#pragma GCC unroll 4
  for (int t = 0; t < kSize; ++t) sums[t] = Sums::splat(task.starts[row]);
  for (std::int64_t i = task.rows.starts[row]; i < task.rows.starts[row + 1]; i += 4) {
    const FourWeights weights = FourWeights::of(task.weights + i);
    const std::int32_t* offsets = task.rows.offsets + i;
#pragma GCC unroll 4
    for (int t = 0; t < kSize; ++t) {
      const std::uint8_t* from = x + t * Bytes::kLanes;
      const Bytes four[4] = {read(from + offsets[0]), read(from + offsets[1]),
                             read(from + offsets[2]), read(from + offsets[3])};
      sums[t].add(four, weights);
    }
  }
  const float bias = task.bias == nullptr ? 0 : task.bias[row];
#pragma GCC unroll 4
  for (int t = 0; t < kSize; ++t) {
    float* to = out + t * Bytes::kLanes;
    if constexpr (kWhole) {
      sums[t].store(to, task.factors[row], bias);
    } else {
      sums[t].store(to, task.factors[row], bias, count);
    }
  }
}

inline void multiply_over(const Task& task, std::size_t line, std::size_t begin, std::size_t first,
                          std::size_t last) {
  constexpr std::size_t kLanes = Bytes::kLanes;
  constexpr std::size_t kTile = Sums::kTile * kLanes;
  for (std::size_t row = first; row < last; ++row) {
    const Plane& place = task.places[row];
    if (line >= place.lines.count || begin >= place.lines.length) continue;
    const std::size_t left = place.lines.length - begin;
    const std::size_t end = begin + (left < kTile ? left : kTile);
    for (std::size_t i = begin; i < end;) {
      const auto with = [&](auto multiply, std::size_t count) {
        multiply(task, row, task.x + line * task.x_step + i,
                 task.out + place.begin + line * place.lines.step + i, count);
        i += count;
      };
      const std::size_t rest = end - i;
      if (rest == kTile) {
        with(multiply_row<Sums::kTile, true>, kTile);
      } else if (rest >= 2 * kLanes) {
        with(multiply_row<2, true>, 2 * kLanes);
      } else if (rest >= kLanes) {
        with(multiply_row<1, true>, kLanes);
      } else {
        with(multiply_row<1, false>, rest);
      }
    }
  }
}

constexpr Unit unit_of() { return {Sums::kTile * Bytes::kLanes, &multiply_over}; }

}  // namespace
}  // namespace quantlab::sparse_product_int8
