// Windows over an input, from Python.
#pragma once

#include <pybind11/pybind11.h>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <tuple>
#include <vector>

#include "array.h"
#include "quantlab/windows.h"

namespace quantlab::bindings {

// Where windows lie in an input; see quantlab/windows.h.
struct WindowPlaces {
  std::size_t num_windows = 0;
  std::vector<std::size_t> spans;
  Windows windows{};
  std::size_t reach = 0;  // one behind the last window's first number
};

inline std::unique_ptr<WindowPlaces> window_places(
    const std::tuple<long long, long long, long long>& counts,
    const std::tuple<long long, long long, long long>& steps, const std::vector<long long>& spans) {
  const auto [num_images, num_rows, num_columns] = counts;
  const auto [image, row, column] = steps;
  for (const long long number : {num_images, num_rows, num_columns}) {
    require_in_range(number, "counts", 1, 1LL << 40);
  }
  for (const long long number : {image, row, column})
    require_in_range(number, "steps", 0, 1LL << 40);
  auto places = std::make_unique<WindowPlaces>();
  std::size_t last = 0;
  for (const long long span : spans) {
    require_in_range(span, "spans", 0, 1LL << 40);
    places->spans.push_back(static_cast<std::size_t>(span));
    last = std::max(last, places->spans.back());
  }
  places->num_windows = static_cast<std::size_t>(num_images * num_rows * num_columns);
  places->windows = {static_cast<std::size_t>(num_rows),
                     static_cast<std::size_t>(num_columns),
                     static_cast<std::size_t>(image),
                     static_cast<std::size_t>(row),
                     static_cast<std::size_t>(column),
                     places->spans.data(),
                     places->spans.size()};
  places->reach = static_cast<std::size_t>((num_images - 1) * image + (num_rows - 1) * row +
                                           (num_columns - 1) * column) +
                  last;
  return places;
}

}  // namespace quantlab::bindings
