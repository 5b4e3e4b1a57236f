// What drivers of layouts share: the split over threads, and the numbers that nothing takes.
#pragma once

#include <algorithm>
#include <cstddef>

#include "planes/unit.h"
#include "quantlab/parallel.h"

namespace quantlab::planes {

constexpr std::size_t kNumbersPerThread = std::size_t{1} << 15;

inline Split split_of(std::size_t multiple, std::size_t batch) {
  const std::size_t least = kNumbersPerThread / (batch + 1) + 1;
  return {multiple, (least + multiple - 1) / multiple * multiple};
}

// Those of the channels whose first number is among [begin, end).
template <class Number, class Given>
void fill_gaps(const Task<Given>& task, Number* planes, Number value, std::size_t begin,
               std::size_t end) {
  std::size_t channel = (begin + task.channel - 1) / task.channel;
  for (; channel * task.channel < end; ++channel) {
    Number* from = planes + channel * task.step * task.batch;
    for (std::size_t gap = 0; gap < task.num_gaps; ++gap) {
      std::fill(from + static_cast<std::size_t>(task.gaps[2 * gap]) * task.batch,
                from + static_cast<std::size_t>(task.gaps[2 * gap + 1]) * task.batch, value);
    }
  }
}

}  // namespace quantlab::planes
