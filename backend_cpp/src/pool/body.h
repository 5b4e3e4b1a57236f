// The kernel, written once.
#pragma once

#include <cstddef>
#include <cstdint>

#include "pool/unit.h"

namespace quantlab::pool {
namespace {

// Plain loops over neighboring numbers, which the compiler makes vectors of.
constexpr std::size_t kNumbers = 64;

struct Larger {
  template <class In, class Out>
  static void add(const In* x, std::size_t count, Out* total) {
    for (std::size_t i = 0; i < count; ++i) total[i] = x[i] > total[i] ? x[i] : total[i];
  }
  static constexpr std::int32_t kOutside = 0;  // does not take part
};

struct Added {
  template <class In, class Out>
  static void add(const In* x, std::size_t count, Out* total) {
    for (std::size_t i = 0; i < count; ++i) total[i] += x[i];
  }
  static constexpr std::int32_t kOutside = 1;
};

inline std::size_t length(const Stretch& stretch) {
  return (stretch.end - stretch.begin + stretch.step - 1) / stretch.step;
}

// The window over `count` channels from x on, in an image of `task.width` columns. The compiler
// knows a count that is constant.
template <class Rule, class In, class Out>
__attribute__((always_inline)) inline void pool_window(const Task& task, const In* x,
                                                       const Stretch& rows, const Stretch& columns,
                                                       std::size_t count, Out* out) {
  Out total[kNumbers];
  const In* first = x + (rows.begin * task.width + columns.begin) * task.channels;
  for (std::size_t i = 0; i < count; ++i) total[i] = first[i];
  for (std::size_t row = rows.begin; row < rows.end; row += rows.step) {
    for (std::size_t column = columns.begin; column < columns.end; column += columns.step) {
      if (row == rows.begin && column == columns.begin) continue;
      const In* from = x + (row * task.width + column) * task.channels;
      Rule::add(from, count, total);
    }
  }
  const auto num_outside = static_cast<std::int32_t>(task.window - length(rows) * length(columns));
  const auto outside = static_cast<Out>(Rule::kOutside * num_outside * task.padding_code);
  for (std::size_t i = 0; i < count; ++i) out[i] = static_cast<Out>(total[i] + outside);
}

template <class Rule, class In, class Out>
void pool_row(const Task& task, std::size_t index) {
  const std::size_t image = index / task.num_rows;
  const Stretch& rows = task.rows[index % task.num_rows];
  const In* x =
      static_cast<const In*>(task.x.data) + image * task.height * task.width * task.channels;
  Out* out = static_cast<Out*>(task.out.data) + index * task.num_columns * task.channels;
  for (std::size_t window = 0; window < task.num_columns; ++window) {
    for (std::size_t channel = 0; channel < task.channels; channel += kNumbers) {
      const std::size_t left = task.channels - channel;
      const Stretch& columns = task.columns[window];
      Out* to = out + window * task.channels + channel;
      if (left >= kNumbers) {
        pool_window<Rule, In, Out>(task, x + channel, rows, columns, kNumbers, to);
      } else {
        pool_window<Rule, In, Out>(task, x + channel, rows, columns, left, to);
      }
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
