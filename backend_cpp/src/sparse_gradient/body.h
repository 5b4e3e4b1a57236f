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
void go_back_tile(const Task<typename V::Number>& task, std::size_t group, bool is_first,
                  const typename V::Number* x, const typename V::Number* y,
                  typename V::Number* x_gradient, std::size_t count) {
  using Number = typename V::Number;
  const std::int32_t* offsets = task.planes.offsets;
  std::int64_t i = task.planes.starts[group];
  const std::int64_t end = task.planes.starts[group + 1];
  if (i == end && !is_first) return;
  Tile<V, kSize, kWhole> tile;
  tile.count = count;
#pragma GCC unroll 4
  for (int t = 0; t < kSize; ++t) {
    tile.x[t] = tile.read(x, t);
    tile.x_gradient[t] = is_first || x_gradient == nullptr ? V::zero() : tile.read(x_gradient, t);
  }
  Number unwanted[4];
  Number* gradients = task.gradients;
  for (; i + 4 <= end; i += 4) {
    const V a = tile.share(task.values[i], y + offsets[i]);
    const V b = tile.share(task.values[i + 1], y + offsets[i + 1]);
    const V c = tile.share(task.values[i + 2], y + offsets[i + 2]);
    const V d = tile.share(task.values[i + 3], y + offsets[i + 3]);
    V::four_sums(a, b, c, d, gradients == nullptr ? unwanted : gradients + i, 4);
  }
  if (i < end) {
    const V a = tile.share(task.values[i], y + offsets[i]);
    const V b = end - i > 1 ? tile.share(task.values[i + 1], y + offsets[i + 1]) : V::zero();
    const V c = end - i > 2 ? tile.share(task.values[i + 2], y + offsets[i + 2]) : V::zero();
    const auto left = static_cast<std::size_t>(end - i);
    V::four_sums(a, b, c, V::zero(), gradients == nullptr ? unwanted : gradients + i, left);
  }
  if (x_gradient == nullptr) return;
  if constexpr (kWhole) {
#pragma GCC unroll 4
    for (int t = 0; t < kSize; ++t) tile.x_gradient[t].store(x_gradient + t * V::kLanes);
  } else {
    tile.x_gradient[0].store(x_gradient, count);
  }
}

// The stretch [begin, end) of a plane's line, at most a tile.
template <class V>
void go_back_stretch(const Task<typename V::Number>& task, std::size_t group, bool is_first,
                     const typename V::Number* x, const typename V::Number* y,
                     typename V::Number* x_gradient, std::size_t size) {
  for (std::size_t done = 0; done < size;) {
    const std::size_t left = size - done;
    const auto with = [&](auto go_back, std::size_t count) {
      go_back(task, group, is_first, x + done, y + done,
              x_gradient == nullptr ? nullptr : x_gradient + done, count);
      done += count;
    };
    if (left >= kVectors * V::kLanes) {
      with(go_back_tile<V, kVectors, true>, kVectors * V::kLanes);
    } else if (left >= 2 * V::kLanes) {
      with(go_back_tile<V, 2, true>, 2 * V::kLanes);
    } else if (left >= V::kLanes) {
      with(go_back_tile<V, 1, true>, V::kLanes);
    } else {
      with(go_back_tile<V, 1, false>, left);
    }
  }
}

template <class V>
void go_back_over(const Task<typename V::Number>& task, std::size_t line, std::size_t begin,
                  std::size_t first, std::size_t last) {
  for (std::size_t panel = 0; panel < task.num_panels; ++panel) {
    for (std::size_t plane = first; plane < last; ++plane) {
      const Plane& place = task.places[plane];
      if (line >= place.lines.count || begin >= place.lines.length) continue;
      const std::size_t at = place.begin + line * place.lines.step + begin;
      const std::size_t left = place.lines.length - begin;
      go_back_stretch<V>(task, panel * task.num_planes + plane, panel == 0, task.x + at,
                         task.y + line * task.y_step + begin,
                         task.x_gradient == nullptr ? nullptr : task.x_gradient + at,
                         left < kVectors * V::kLanes ? left : kVectors * V::kLanes);
    }
  }
}

template <class V>
constexpr Unit<typename V::Number> unit_of() {
  return {kVectors * V::kLanes, &go_back_over<V>};
}

}  // namespace
}  // namespace quantlab::sparse_gradient
