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

template <class V, class Input, int kSize, bool kWhole>
struct Tile {
  using Number = typename V::Number;

  V x[kSize];
  V x_gradient[kSize];
  std::size_t count;

  V read(const Input* from, int t) const {
    if constexpr (kWhole) return V::load(from + t * V::kLanes);
    return V::load(from, count);
  }

  // Adds a connection's share to the input's gradient; returns its products with the input.
  V share(V factor, const Input* y) {
    V products = V::zero();
#pragma GCC unroll 4
    for (int t = 0; t < kSize; ++t) {
      const V number = read(y, t);
      x_gradient[t].add_product(factor, number);
      products.add_product(x[t], number);
    }
    return products;
  }

  // What is first does not read memory, which takes as long as all products of a few connections.
  void write(Number* to, bool is_first) const {
    if (is_first) {
      store(to);
    } else {
      add_to(to);
    }
  }

  void store(Number* to) const {
    if constexpr (!kWhole) return x_gradient[0].store(to, count);
#pragma GCC unroll 4
    for (int t = 0; t < kSize; ++t) x_gradient[t].store(to + t * V::kLanes);
  }

  void add_to(Number* to) const {
    if constexpr (!kWhole) return x_gradient[0].add_to(to, count);
#pragma GCC unroll 4
    for (int t = 0; t < kSize; ++t) x_gradient[t].add_to(to + t * V::kLanes);
  }
};

// Connections [i, i + num_connections) of a plane.
template <class V, class Input, int kSize, bool kWhole>
void go_back_tile(const Task<typename V::Number, Input>& task, std::size_t i,
                  std::size_t num_connections, bool is_first, const Input* x, const Input* y,
                  typename V::Number* x_gradient, std::size_t count) {
  using Number = typename V::Number;
  const std::int32_t* offsets = task.planes.offsets + i;
  const typename V::Factors factors(task.values + i, num_connections);
  Tile<V, Input, kSize, kWhole> tile;
  tile.count = count;
#pragma GCC unroll 4
  for (int t = 0; t < kSize; ++t) {
    tile.x[t] = tile.read(x, t);
    tile.x_gradient[t] = V::zero();
  }
  Number unwanted[4];
  Number* gradients = task.gradients == nullptr ? nullptr : task.gradients + i;
  std::size_t j = 0;
  for (; j + 4 <= num_connections; j += 4) {
    const V a = tile.share(factors[j], y + offsets[j]);
    const V b = tile.share(factors[j + 1], y + offsets[j + 1]);
    const V c = tile.share(factors[j + 2], y + offsets[j + 2]);
    const V d = tile.share(factors[j + 3], y + offsets[j + 3]);
    V::four_sums(a, b, c, d, gradients == nullptr ? unwanted : gradients + j, 4);
  }
  if (j < num_connections) {
    const std::size_t left = num_connections - j;
    const V a = tile.share(factors[j], y + offsets[j]);
    const V b = left > 1 ? tile.share(factors[j + 1], y + offsets[j + 1]) : V::zero();
    const V c = left > 2 ? tile.share(factors[j + 2], y + offsets[j + 2]) : V::zero();
    V::four_sums(a, b, c, V::zero(), gradients == nullptr ? unwanted : gradients + j, left);
  }
  if (x_gradient != nullptr) tile.write(x_gradient, is_first);
}

// All connections of a plane with a panel, as many at once as vectors can add up.
template <class V, class Input, int kSize, bool kWhole>
void go_back_group(const Task<typename V::Number, Input>& task, std::size_t group, bool is_first,
                   const Input* x, const Input* y, typename V::Number* x_gradient,
                   std::size_t count) {
  auto i = static_cast<std::size_t>(task.planes.starts[group]);
  const auto end = static_cast<std::size_t>(task.planes.starts[group + 1]);
  while (i < end || is_first) {
    std::size_t part = end - i;
    if (V::kMostProducts > 0 && part > V::kMostProducts) part = V::kMostProducts;
    go_back_tile<V, Input, kSize, kWhole>(task, i, part, is_first, x, y, x_gradient, count);
    is_first = false;
    i += part;
  }
}

// The stretch [begin, end) of a plane's line, at most a tile.
template <class V, class Input>
void go_back_stretch(const Task<typename V::Number, Input>& task, std::size_t group, bool is_first,
                     const Input* x, const Input* y, typename V::Number* x_gradient,
                     std::size_t size) {
  for (std::size_t done = 0; done < size;) {
    const std::size_t left = size - done;
    const auto with = [&](auto go_back, std::size_t count) {
      go_back(task, group, is_first, x + done, y + done,
              x_gradient == nullptr ? nullptr : x_gradient + done, count);
      done += count;
    };
    if (left >= kVectors * V::kLanes) {
      with(go_back_group<V, Input, kVectors, true>, kVectors * V::kLanes);
    } else if (left >= 2 * V::kLanes) {
      with(go_back_group<V, Input, 2, true>, 2 * V::kLanes);
    } else if (left >= V::kLanes) {
      with(go_back_group<V, Input, 1, true>, V::kLanes);
    } else {
      with(go_back_group<V, Input, 1, false>, left);
    }
  }
}

template <class V, class Input>
void go_back_over(const Task<typename V::Number, Input>& task, std::size_t line, std::size_t begin,
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

template <class V, class Input = typename V::Number>
constexpr Unit<typename V::Number, Input> unit_of() {
  return {kVectors * V::kLanes, &go_back_over<V, Input>};
}

}  // namespace
}  // namespace quantlab::sparse_gradient
