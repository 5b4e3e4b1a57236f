// The kernels, written once over the vectors of quantlab/floats: vectors go along the connections
// of a row or a column, and what these connect is gathered from samples that stay in the first
// cache.
#pragma once

#include <cstddef>
#include <cstdint>

#include "sparse_gather/unit.h"

namespace quantlab::sparse_gather {
namespace {

constexpr std::size_t kSamples = 4;  // that go through the connections together

// Adds the sum of each vector to a total.
template <class V, std::size_t kCount>
void add_sums(const V (&sums)[kCount], typename V::Number (&totals)[kSamples]) {
  V all[kSamples];
#pragma GCC unroll 4
  for (std::size_t b = 0; b < kSamples; ++b) all[b] = b < kCount ? sums[b] : V::zero();
  V::four_sums(all[0], all[1], all[2], all[3], totals, kSamples);
}

// Less than all lanes only at the end of a row's or column's connections.
template <class V, bool kWhole, class Number>
V load(const Number* from, std::size_t count) {
  return kWhole ? V::load(from) : V::load(from, count);
}

template <class V, bool kWhole, class Number>
V gather(const Number* from, const std::int32_t* places, std::size_t count) {
  return kWhole ? V::gather(from, places) : V::gather(from, places, count);
}

// Adds the products of connections [i, i + count) of a row with each of the samples.
template <class V, bool kWhole, std::size_t kCount>
void add_products(const ProductTask<typename V::Number>& task, const typename V::Number* x,
                  std::size_t i, std::size_t count, V (&sums)[kCount]) {
  const V values = gather<V, kWhole>(task.values, task.order + i, count);
#pragma GCC unroll 4
  for (std::size_t b = 0; b < kCount; ++b) {
    const auto* from = x + b * task.shape.num_columns;
    sums[b].add_product(values, gather<V, kWhole>(from, task.rows.offsets + i, count));
  }
}

// Samples [sample, sample + kCount).
template <class V, std::size_t kCount>
void multiply_samples(const ProductTask<typename V::Number>& task, std::size_t sample,
                      std::size_t first, std::size_t last) {
  using Number = typename V::Number;
  const Number* x = task.x + sample * task.shape.num_columns;
  for (std::size_t row = first; row < last; ++row) {
    auto i = static_cast<std::size_t>(task.rows.starts[row]);
    const auto end = static_cast<std::size_t>(task.rows.starts[row + 1]);
    V sums[kCount];
#pragma GCC unroll 4
    for (std::size_t b = 0; b < kCount; ++b) sums[b] = V::zero();
    for (; i + V::kLanes <= end; i += V::kLanes) add_products<V, true>(task, x, i, 0, sums);
    if (i < end) add_products<V, false>(task, x, i, end - i, sums);
    Number totals[kSamples] = {};
    add_sums(sums, totals);
    const Number start = task.bias == nullptr ? Number{0} : task.bias[row];
#pragma GCC unroll 4
    for (std::size_t b = 0; b < kCount; ++b) {
      task.out[(sample + b) * task.shape.num_rows + row] = start + totals[b];
    }
  }
}

// The same for the gradients, of connections of a column, whose own are written.
template <class V, bool kWhole, std::size_t kCount>
void add_gradients(const GradientTask<typename V::Number>& task, std::size_t sample, std::size_t i,
                   std::size_t count, const typename V::Number (&x)[kCount], V (&sums)[kCount]) {
  const V values = load<V, kWhole>(task.values + i, count);
  V products = V::zero();
#pragma GCC unroll 4
  for (std::size_t b = 0; b < kCount; ++b) {
    const auto* y = task.y + (sample + b) * task.shape.num_rows;
    const V numbers = gather<V, kWhole>(y, task.columns.offsets + i, count);
    sums[b].add_product(values, numbers);
    products.add_product(V::splat(x[b]), numbers);
  }
  if (task.gradients == nullptr) return;
  auto* to = task.gradients + i;
  if (sample > 0) products = load<V, kWhole>(to, count).plus(products);
  if (kWhole) {
    products.store(to);
  } else {
    products.store(to, count);
  }
}

// The connections of a column with a panel of rows; adds up their shares of the input's gradient.
template <class V, std::size_t kCount>
void go_back_part(const GradientTask<typename V::Number>& task, std::size_t sample,
                  std::size_t part, const typename V::Number (&x)[kCount],
                  typename V::Number (&totals)[kSamples]) {
  auto i = static_cast<std::size_t>(task.columns.starts[part]);
  const auto end = static_cast<std::size_t>(task.columns.starts[part + 1]);
  V sums[kCount];
#pragma GCC unroll 4
  for (std::size_t b = 0; b < kCount; ++b) sums[b] = V::zero();
  for (; i + V::kLanes <= end; i += V::kLanes) add_gradients<V, true>(task, sample, i, 0, x, sums);
  if (i < end) add_gradients<V, false>(task, sample, i, end - i, x, sums);
  add_sums(sums, totals);
}

// Panel by panel, in the order in which the values lie in memory.
template <class V, std::size_t kCount>
void go_back_samples(const GradientTask<typename V::Number>& task, std::size_t sample,
                     std::size_t first, std::size_t last) {
  using Number = typename V::Number;
  const std::size_t num_columns = task.shape.num_columns;
  for (std::size_t panel = 0; panel < task.columns.num_groups; panel += num_columns) {
    for (std::size_t column = first; column < last; ++column) {
      Number x[kCount];
#pragma GCC unroll 4
      for (std::size_t b = 0; b < kCount; ++b) x[b] = task.x[(sample + b) * num_columns + column];
      Number totals[kSamples] = {};
      go_back_part<V>(task, sample, panel + column, x, totals);
      if (task.x_gradient == nullptr) continue;
#pragma GCC unroll 4
      for (std::size_t b = 0; b < kCount; ++b) {
        Number& to = task.x_gradient[(sample + b) * num_columns + column];
        to = panel == 0 ? totals[b] : to + totals[b];
      }
    }
  }
}

template <class V>
void multiply(const ProductTask<typename V::Number>& task, std::size_t first, std::size_t last) {
  for (std::size_t sample = 0; sample < task.shape.batch; sample += kSamples) {
    switch (task.shape.batch - sample) {
      case 1:
        multiply_samples<V, 1>(task, sample, first, last);
        break;
      case 2:
        multiply_samples<V, 2>(task, sample, first, last);
        break;
      case 3:
        multiply_samples<V, 3>(task, sample, first, last);
        break;
      default:
        multiply_samples<V, 4>(task, sample, first, last);
    }
  }
}

template <class V>
void go_back(const GradientTask<typename V::Number>& task, std::size_t first, std::size_t last) {
  for (std::size_t sample = 0; sample < task.shape.batch; sample += kSamples) {
    switch (task.shape.batch - sample) {
      case 1:
        go_back_samples<V, 1>(task, sample, first, last);
        break;
      case 2:
        go_back_samples<V, 2>(task, sample, first, last);
        break;
      case 3:
        go_back_samples<V, 3>(task, sample, first, last);
        break;
      default:
        go_back_samples<V, 4>(task, sample, first, last);
    }
  }
}

template <class V>
constexpr Unit<typename V::Number> unit_of() {
  return {&multiply<V>, &go_back<V>};
}

}  // namespace
}  // namespace quantlab::sparse_gather
