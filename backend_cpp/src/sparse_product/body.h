// The kernel, written once over the vectors of quantlab/floats: a tile of outputs stays in
// registers while the row's connections are gone through.
#pragma once

#include <cstddef>
#include <cstdint>

#include "sparse_product/unit.h"

namespace quantlab::sparse_product {
namespace {

constexpr int kVectors = 8;  // of a tile

// Adds the products of a row's connections with the input; `count` is less than all lanes only for
// a single vector.
template <class V, class Input, int kSize>
void add_products(V (&sums)[kSize], const typename V::Number* values, const std::int32_t* offsets,
                  std::size_t num_connections, const Input* x, std::size_t count) {
  const typename V::Factors factors(values, num_connections);
  for (std::size_t i = 0; i < num_connections; ++i) {
    const V value = factors[i];
    const Input* from = x + offsets[i];
    if constexpr (kSize == 1) {
      sums[0].add_product(value, count < V::kLanes ? V::load(from, count) : V::load(from));
    } else {
#pragma GCC unroll 8
      for (int t = 0; t < kSize; ++t) {
        sums[t].add_product(value, V::load(from + t * V::kLanes));
      }
    }
  }
}

template <class V, int kSize>
void store_above(const V (&sums)[kSize], typename V::Number start, typename V::Number* to,
                 std::size_t count) {
  if (kSize == 1 && count < V::kLanes) {
    sums[0].store_above(start, to, count);
    return;
  }
#pragma GCC unroll 8
  for (int t = 0; t < kSize; ++t) sums[t].store_above(start, to + t * V::kLanes);
}

template <class V, int kSize>
void add_to(const V (&sums)[kSize], typename V::Number* to, std::size_t count) {
  if (kSize == 1 && count < V::kLanes) {
    sums[0].add_to(to, count);
    return;
  }
#pragma GCC unroll 8
  for (int t = 0; t < kSize; ++t) sums[t].add_to(to + t * V::kLanes);
}

template <class V, class Input, int kSize>
void multiply_rows(const Task<typename V::Number, Input>& task, std::size_t panel, const Input* x,
                   typename V::Number* out, std::size_t count, std::size_t first,
                   std::size_t last) {
  using Number = typename V::Number;
  const std::int64_t* starts = task.rows.starts + panel * task.num_rows;
  for (std::size_t row = first; row < last; ++row) {
    std::int64_t i = starts[row];
    const std::int64_t end = starts[row + 1];
    bool is_first = panel == 0;
    while (i < end || is_first) {
      auto part = static_cast<std::size_t>(end - i);
      if (V::kMostProducts > 0 && part > V::kMostProducts) part = V::kMostProducts;
      V sums[kSize];
#pragma GCC unroll 8
      for (int t = 0; t < kSize; ++t) sums[t] = V::zero();
      add_products(sums, task.values + i, task.rows.offsets + i, part, x, count);
      Number* to = out + row * task.out_row;
      if (is_first) {
        store_above(sums, task.bias == nullptr ? Number{0} : task.bias[row], to, count);
      } else {
        add_to(sums, to, count);
      }
      is_first = false;
      i += static_cast<std::int64_t>(part);
    }
  }
}

template <class V, class Input>
void multiply_over(const Task<typename V::Number, Input>& task, std::size_t line, std::size_t begin,
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
      with(multiply_rows<V, Input, kVectors>, kVectors * V::kLanes);
    } else if (left >= 4 * V::kLanes) {
      with(multiply_rows<V, Input, 4>, 4 * V::kLanes);
    } else if (left >= 2 * V::kLanes) {
      with(multiply_rows<V, Input, 2>, 2 * V::kLanes);
    } else {
      with(multiply_rows<V, Input, 1>, left < V::kLanes ? left : V::kLanes);
    }
  }
}

template <class V, class Input = typename V::Number>
constexpr Unit<typename V::Number, Input> unit_of() {
  return {kVectors * V::kLanes, &multiply_over<V, Input>};
}

}  // namespace
}  // namespace quantlab::sparse_product
