// The kernel, written once over the vectors of quantlab/floats: a tile of the input and of its
// gradient stay in registers, so that each number of the outputs' gradient is loaded once for both
// products.
#pragma once

#include <cstddef>
#include <cstdint>

#include "sparse_gradient/unit.h"

namespace quantlab::sparse_gradient {
namespace {

constexpr int kVectors = 4;  // of a tile

template <class V, int kSize, bool kWhole>
struct Tile {
  using Number = typename V::Number;

  V x[kSize];
  V x_gradient[kSize];
  std::size_t count;

  V read(const Number* from, int t) const {
    if constexpr (kWhole) return V::load(from + t * V::kLanes);
    return V::load(from, count);
  }

  // Adds a connection's share to the input's gradient; returns its products with the input.
  V share(Number value, const Number* y) {
    const V factor = V::splat(value);
    V products = V::zero();
#pragma GCC unroll 4
    for (int t = 0; t < kSize; ++t) {
      const V number = read(y, t);
      x_gradient[t].add_product(factor, number);
      products.add_product(x[t], number);
    }
    return products;
  }
};

template <class V, int kSize, bool kWhole>
void go_back_tile(const Task<typename V::Number>& task, std::size_t plane,
                  const typename V::Number* x, const typename V::Number* y,
                  typename V::Number* x_gradient, std::size_t count) {
  using Number = typename V::Number;
  Tile<V, kSize, kWhole> tile;
  tile.count = count;
#pragma GCC unroll 4
  for (int t = 0; t < kSize; ++t) {
    tile.x[t] = tile.read(x, t);
    tile.x_gradient[t] = V::zero();
  }
  const std::int32_t* offsets = task.planes.offsets;
  std::int64_t i = task.planes.starts[plane];
  const std::int64_t end = task.planes.starts[plane + 1];
  Number unwanted[4];
  Number* gradients = task.gradients;
  for (; i + 4 <= end; i += 4) {
    const V a = tile.share(task.values[i], y + offsets[i]);
    const V b = tile.share(task.values[i + 1], y + offsets[i + 1]);
    const V c = tile.share(task.values[i + 2], y + offsets[i + 2]);
    const V d = tile.share(task.values[i + 3], y + offsets[i + 3]);
    V::four_sums(a, b, c, d, gradients == nullptr ? unwanted : gradients + i);
  }
  for (; i < end; ++i) {
    const Number sum = tile.share(task.values[i], y + offsets[i]).sum();
    if (gradients != nullptr) gradients[i] += sum;
  }
  if (x_gradient == nullptr) return;
  if constexpr (kWhole) {
#pragma GCC unroll 4
    for (int t = 0; t < kSize; ++t) tile.x_gradient[t].store(x_gradient + t * V::kLanes);
  } else {
    tile.x_gradient[0].store(x_gradient, count);
  }
}

template <class V>
void go_back_over(const Task<typename V::Number>& task, std::size_t line, std::size_t begin,
                  std::size_t first, std::size_t last) {
  for (std::size_t plane = first; plane < last; ++plane) {
    const Plane& place = task.places[plane];
    if (line >= place.lines.count || begin >= place.lines.length) continue;
    const std::size_t at = place.begin + line * place.lines.step;
    const std::size_t left = place.lines.length - begin;
    const std::size_t end = begin + (left < kVectors * V::kLanes ? left : kVectors * V::kLanes);
    for (std::size_t i = begin; i < end;) {
      const auto with = [&](auto go_back, std::size_t count) {
        go_back(task, plane, task.x + at + i, task.y + line * task.y_step + i,
                task.x_gradient == nullptr ? nullptr : task.x_gradient + at + i, count);
        i += count;
      };
      const std::size_t rest = end - i;
      if (rest >= kVectors * V::kLanes) {
        with(go_back_tile<V, kVectors, true>, kVectors * V::kLanes);
      } else if (rest >= 2 * V::kLanes) {
        with(go_back_tile<V, 2, true>, 2 * V::kLanes);
      } else if (rest >= V::kLanes) {
        with(go_back_tile<V, 1, true>, V::kLanes);
      } else {
        with(go_back_tile<V, 1, false>, rest);
      }
    }
  }
}

template <class V>
constexpr Unit<typename V::Number> unit_of() {
  return {kVectors * V::kLanes, &go_back_over<V>};
}

}  // namespace
}  // namespace quantlab::sparse_gradient
