// The kernel, written once over the `Lanes` of an instruction set.
#pragma once

#include <cstddef>
#include <cstdint>

#include "quantlab/lanes/rows.h"

#include "pool/unit.h"

namespace quantlab::pool {
namespace {

struct Larger {
  static Lanes of(Lanes a, Lanes b) { return larger(a, b); }
  static Lanes end(const Task&, Lanes total, std::size_t) { return total; }
};

struct Added {
  static Lanes of(Lanes a, Lanes b) { return a + b; }
  // Numbers beyond the border are added at the end.
  static Lanes end(const Task& task, Lanes total, std::size_t num_inside) {
    const auto outside = static_cast<std::int32_t>(task.window - num_inside);
    return total + Lanes::splat(outside * task.padding_code);
  }
};

inline std::size_t length(const Stretch& stretch) {
  return (stretch.end - stretch.begin + stretch.step - 1) / stretch.step;
}

template <class Rule, class In, class Out>
void pool_row(const Task& task, std::size_t index) {
  const std::size_t image = index / task.num_rows;
  const Stretch rows = task.rows[index % task.num_rows];
  const In* x =
      static_cast<const In*>(task.x.data) + image * task.height * task.width * task.channels;
  Out* out = static_cast<Out*>(task.out.data) + index * task.num_columns * task.channels;
  for (std::size_t window = 0; window < task.num_columns; ++window) {
    const Stretch columns = task.columns[window];
    for (std::size_t channel = 0; channel < task.channels; channel += kLanes) {
      const std::size_t left = task.channels - channel;
      const std::size_t count = left < kLanes ? left : kLanes;
      Lanes total = Lanes::zero();
      bool is_first = true;
      for (std::size_t row = rows.begin; row < rows.end; row += rows.step) {
        for (std::size_t column = columns.begin; column < columns.end; column += columns.step) {
          const Lanes one = some(x + (row * task.width + column) * task.channels + channel, count);
          total = is_first ? one : Rule::of(total, one);
          is_first = false;
        }
      }
      total = Rule::end(task, total, length(rows) * length(columns));
      put_some(total, out + window * task.channels + channel, count);
    }
  }
}

template <class Rule, class In, class Out>
void pool_rows(const Task& task, std::size_t begin, std::size_t end) {
  for (std::size_t index = begin; index < end; ++index) pool_row<Rule, In, Out>(task, index);
}

inline void max_over(const Task& task, std::size_t begin, std::size_t end) {
  switch (task.x.kind) {
    case Kind::kU8:
      return pool_rows<Larger, std::uint8_t, std::uint8_t>(task, begin, end);
    case Kind::kS8:
      return pool_rows<Larger, std::int8_t, std::int8_t>(task, begin, end);
    case Kind::kS16:
      return pool_rows<Larger, std::int16_t, std::int16_t>(task, begin, end);
    default:
      return pool_rows<Larger, std::int32_t, std::int32_t>(task, begin, end);
  }
}

inline void sum_over(const Task& task, std::size_t begin, std::size_t end) {
  switch (task.x.kind) {
    case Kind::kU8:
      return pool_rows<Added, std::uint8_t, std::int32_t>(task, begin, end);
    case Kind::kS8:
      return pool_rows<Added, std::int8_t, std::int32_t>(task, begin, end);
    default:
      return pool_rows<Added, std::int16_t, std::int32_t>(task, begin, end);
  }
}

}  // namespace
}  // namespace quantlab::pool
