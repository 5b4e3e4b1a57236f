// Connections from Python, checked once: afterwards only sizes of arrays have to be.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "memory.h"
#include "quantlab/connections.h"

namespace quantlab::bindings {

struct Plan {
  std::vector<std::int64_t> starts;
  std::vector<std::int32_t> offsets;

  std::size_t num_groups() const { return starts.size() - 1; }
  Connections connections() const { return {starts.data(), offsets.data(), num_groups()}; }

  // One number behind the last that a group's connections reach, within `lines`.
  std::size_t reach(std::size_t group, const Lines& lines) const {
    if (lines.count == 0 || lines.length == 0) return 0;
    std::size_t end = 0;
    for (auto i = static_cast<std::size_t>(starts[group]);
         i < static_cast<std::size_t>(starts[group + 1]); ++i) {
      end = std::max(end, static_cast<std::size_t>(offsets[i]));
    }
    const std::size_t before = checked_product("lines", {lines.count - 1, lines.step});
    return checked_sum("lines", {end, before, lines.length});
  }
};

inline Plan plan_of(const py::object& starts, const py::object& offsets) {
  const auto begins = input<std::int64_t>(starts, "starts");
  const auto places = input<std::int32_t>(offsets, "offsets");
  if (begins.size == 0) refuse("starts", "an array that begins with 0", starts);
  std::int64_t before = 0;
  for (std::size_t i = 0; i < begins.size; ++i) {
    if (begins.data[i] < before || (i == 0 && begins.data[i] != 0)) {
      throw UsageError("starts: " + std::to_string(begins.data[i]) + " behind " +
                       std::to_string(before) + "; allowed are rising numbers from 0 on");
    }
    before = begins.data[i];
  }
  if (static_cast<std::size_t>(before) != places.size) {
    throw UsageError("starts: the last is " + std::to_string(before) + "; allowed is " +
                     std::to_string(places.size) + ", the number of offsets");
  }
  for (std::size_t i = 0; i < places.size; ++i) {
    require_in_range(places.data[i], "offsets", 0, INT32_MAX);
  }
  return {{begins.data, begins.data + begins.size}, {places.data, places.data + places.size}};
}

inline std::size_t size_from(const char* name, long long value) {
  require_in_range(value, name, 0, 1LL << 40);
  return static_cast<std::size_t>(value);
}

using GivenLines = std::tuple<long long, long long, long long>;

// (count, length, step)
inline Lines lines_of(const GivenLines& given) {
  const auto [count, length, step] = given;
  return {size_from("lines", count), size_from("lines", length), size_from("lines", step)};
}

}  // namespace quantlab::bindings
