// The kernel, written once over the vectors of quantlab/floats: a tile of outputs stays in
// registers while the row's connections are gone through.
#pragma once

#include <cstddef>
#include <cstdint>

#include "sparse_product/unit.h"

namespace quantlab::sparse_product {
namespace {

constexpr int kVectors = 8;  // of a tile

// `count` is less than all only for a single vector.
template <class V, int kSize>
void multiply_rows(const Task<typename V::Number>& task, std::size_t panel,
                   const typename V::Number* x, typename V::Number* out, std::size_t count,
                   std::size_t first, std::size_t last) {
  using Number = typename V::Number;
  const auto read = [&](const Number* from) {
    return count < V::kLanes ? V::load(from, count) : V::load(from);
  };
  const std::int64_t* starts = task.rows.starts + panel * task.num_rows;
  for (std::size_t row = first; row < last; ++row) {
    if (panel > 0 && starts[row] == starts[row + 1]) continue;
    Number* to = out + row * task.out_row;
    V total[kSize];
    if (panel > 0) {
#pragma GCC unroll 8
      for (int t = 0; t < kSize; ++t)
        total[t] = kSize == 1 ? read(to) : V::load(to + t * V::kLanes);
    } else {
      const V start = task.bias == nullptr ? V::zero() : V::splat(task.bias[row]);
#pragma GCC unroll 8
      for (int t = 0; t < kSize; ++t) total[t] = start;
    }
    for (std::int64_t i = starts[row]; i < starts[row + 1]; ++i) {
      const V value = V::splat(task.values[i]);
      const Number* from = x + task.rows.offsets[i];
      if constexpr (kSize == 1) {
        total[0].add_product(value, read(from));
      } else {
#pragma GCC unroll 8
        for (int t = 0; t < kSize; ++t) {
          total[t].add_product(value, V::load(from + t * V::kLanes));
        }
      }
    }
    if (kSize == 1 && count < V::kLanes) {
      total[0].store(to, count);
    } else {
#pragma GCC unroll 8
      for (int t = 0; t < kSize; ++t) total[t].store(to + t * V::kLanes);
    }
  }
}

template <class V>
void multiply_over(const Task<typename V::Number>& task, std::size_t line, std::size_t begin,
                   std::size_t end, std::size_t first, std::size_t last) {
  const auto* x = task.x + line * task.lines.step;
  auto* out = task.out + line * task.out_line;
  while (begin < end) {
    const std::size_t left = end - begin;
    const auto with = [&](auto multiply, std::size_t count) {
      for (std::size_t panel = 0; panel < task.num_panels; ++panel) {
        multiply(task, panel, x + begin, out + begin, count, first, last);
      }
      begin += count;
    };
    if (left >= kVectors * V::kLanes) {
      with(multiply_rows<V, kVectors>, kVectors * V::kLanes);
    } else if (left >= 4 * V::kLanes) {
      with(multiply_rows<V, 4>, 4 * V::kLanes);
    } else if (left >= 2 * V::kLanes) {
      with(multiply_rows<V, 2>, 2 * V::kLanes);
    } else {
      with(multiply_rows<V, 1>, left < V::kLanes ? left : V::kLanes);
    }
  }
}

template <class V>
constexpr Unit<typename V::Number> unit_of() {
  return {kVectors * V::kLanes, &multiply_over<V>};
}

}  // namespace
}  // namespace quantlab::sparse_product
