// The kernel, written once over the vectors of quantlab/bytes. The outputs' gradient is the
// unsigned factor as it lies in memory, q + 128, and x is made signed: so what has to be taken off,
// 128 times the sum of x, is the same for all connections of a plane.
#pragma once

#include <cstddef>
#include <cstdint>

#include "sparse_gradient_int8/unit.h"

namespace quantlab::sparse_gradient_int8 {
namespace {

constexpr int kConnections = 8;  // at once: as many chains of additions as hide their latency

// What a block has of a plane.
struct Part {
  const std::uint8_t* x;
  const std::uint8_t* y;
  std::size_t x_step;
  std::size_t y_step;
  std::size_t num_lines;
  std::size_t length;
};

inline Part part_of(const Task& task, const Block& block, const Plane& place) {
  const Lines& lines = place.lines;
  const std::size_t last = block.last_line < lines.count ? block.last_line : lines.count;
  const std::size_t end = block.end < lines.length ? block.end : lines.length;
  if (block.first_line >= last || block.begin >= end) return {};
  return {task.x + place.begin + block.first_line * lines.step + block.begin,
          task.y + block.first_line * task.y_step + block.begin,
          lines.step,
          task.y_step,
          last - block.first_line,
          end - block.begin};
}

// Calls use(load, x, y) for each vector; load(from) reads as many bytes as the vector has.
template <class Use>
inline void for_each_vector(const Part& part, const Use& use) {
  for (std::size_t line = 0; line < part.num_lines; ++line) {
    const std::uint8_t* x = part.x + line * part.x_step;
    const std::uint8_t* y = part.y + line * part.y_step;
    std::size_t i = 0;
    for (; i + Bytes::kLanes <= part.length; i += Bytes::kLanes) {
      use([](const std::uint8_t* from) { return Bytes::load(from); }, x + i, y + i);
    }
    const std::size_t rest = part.length - i;
    if (rest == 0) continue;
    use([rest](const std::uint8_t* from) { return Bytes::load(from, rest); }, x + i, y + i);
  }
}

inline std::int64_t sum_of_x(const Part& part) {
  Dot total = Dot::zero();
  const Bytes ones = Bytes::splat(1);
  for_each_vector(part, [&](auto load, const std::uint8_t* x, const std::uint8_t*) {
    total.add(load(x), ones);
  });
  return total.sum() - 128 * static_cast<std::int64_t>(part.num_lines * part.length);
}

template <int kCount>
inline void dots_of(const Part& part, const std::int32_t* offsets, Dot* dots) {
#pragma GCC unroll 8
  for (int c = 0; c < kCount; ++c) dots[c] = Dot::zero();
  for_each_vector(part, [&](auto load, const std::uint8_t* x, const std::uint8_t* y) {
    const Bytes signed_x = load(x).flipped();
#pragma GCC unroll 8
    for (int c = 0; c < kCount; ++c) dots[c].add(load(y + offsets[c]), signed_x);
  });
}

inline void add_dots_over(const Task& task, const Block& block, std::size_t plane,
                          std::int64_t* sums) {
  const Part part = part_of(task, block, task.places[plane]);
  if (part.num_lines == 0) return;
  const std::int64_t excess = 128 * sum_of_x(part);
  std::int64_t i = task.planes.starts[plane];
  const std::int64_t end = task.planes.starts[plane + 1];
  for (; i + kConnections <= end; i += kConnections, sums += kConnections) {
    Dot dots[kConnections];
    dots_of<kConnections>(part, task.planes.offsets + i, dots);
    Dot::add_eight(dots, excess, sums);
  }
  for (; i < end; ++i, ++sums) {
    Dot dot;
    dots_of<1>(part, task.planes.offsets + i, &dot);
    *sums += dot.sum() - excess;
  }
}

inline void scale_over(const std::int64_t* sums, std::size_t count, float factor, float* results) {
  for (std::size_t i = 0; i < count; ++i) results[i] = static_cast<float>(sums[i]) * factor;
}

constexpr Unit unit_of() { return {&add_dots_over, &scale_over}; }

}  // namespace
}  // namespace quantlab::sparse_gradient_int8
