// Windows over an input, from Python.
#pragma once

#include <pybind11/pybind11.h>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <string>
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
  for (const long long number : {image, row, column}) {
    require_in_range(number, "steps", 0, 1LL << 40);
  }
  auto places = std::make_unique<WindowPlaces>();
  std::size_t last = 0;
  for (const long long span : spans) {
    require_in_range(span, "spans", 0, 1LL << 40);
    places->spans.push_back(static_cast<std::size_t>(span));
    last = std::max(last, places->spans.back());
  }
  const auto images = static_cast<std::size_t>(num_images);
  Windows& windows = places->windows;
  windows = {static_cast<std::size_t>(num_rows),
             static_cast<std::size_t>(num_columns),
             static_cast<std::size_t>(image),
             static_cast<std::size_t>(row),
             static_cast<std::size_t>(column),
             places->spans.data(),
             places->spans.size()};
  places->num_windows = checked_product("counts", {images, windows.num_rows, windows.num_columns});
  places->reach = checked_sum(
      "steps", {checked_product("steps", {images - 1, windows.image}),
                checked_product("steps", {windows.num_rows - 1, windows.row}),
                checked_product("steps", {windows.num_columns - 1, windows.column}), last});
  return places;
}

// Refuses an input of `size` numbers, or words, of which windows of `num_spans` spans read more:
// from where a span begins `ahead` of them.
inline void require_reach(const WindowPlaces& places, std::size_t num_spans, std::size_t ahead,
                          const char* name, std::size_t size, const char* unit) {
  if (places.spans.size() != num_spans) {
    throw UsageError("spans: " + std::to_string(places.spans.size()) + "; allowed is " +
                     std::to_string(num_spans) + ", as of the weights");
  }
  const std::size_t needed = checked_sum("windows", {places.reach, ahead});
  if (size < needed) {
    throw UsageError(std::string(name) + ": " + std::to_string(size) + " " + unit + "; at least " +
                     std::to_string(needed) + " are read");
  }
}

}  // namespace quantlab::bindings
