// What a kernel makes of its sums, as Python gives it.
#pragma once

#include <pybind11/pybind11.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "array.h"
#include "requantize/codes.h"

namespace quantlab::bindings {

// The constants behind `Codes`, padded to whole vectors; see requantize/codes.h.
struct CodesRule {
  std::size_t num_channels = 0;
  std::size_t num_groups = 1;
  std::vector<std::int32_t> multiplier, other_multiplier, base, step, limits;
  std::vector<std::int64_t> offset, shift;
  std::int64_t low = 0;
  std::int64_t high = 0;
  std::size_t num_limits = 0;
  std::size_t stride = 0;
};

// A dense array of integers that a kernel reads or writes, of `size` numbers.
inline Rows rows_of(py::handle object, const char* name, std::size_t size, bool is_written) {
  const auto check = [&](const py::array& array) {
    if (is_written && !array.writeable()) refuse(name, "a writeable array", object);
    if (static_cast<std::size_t>(array.size()) != size) {
      refuse(name, "an array of " + std::to_string(size) + " numbers", object);
    }
    return const_cast<void*>(array.data());
  };
  constexpr int kDense = py::array::c_style | py::detail::npy_api::NPY_ARRAY_ALIGNED_;
  if (py::isinstance<py::array>(object)) {
    const auto array = py::reinterpret_borrow<py::array>(object);
    if ((array.flags() & kDense) == kDense) {
      if (py::isinstance<py::array_t<std::uint8_t>>(array)) return {check(array), Kind::kU8};
      if (py::isinstance<py::array_t<std::int8_t>>(array)) return {check(array), Kind::kS8};
      if (py::isinstance<py::array_t<std::int16_t>>(array)) return {check(array), Kind::kS16};
      if (py::isinstance<py::array_t<std::int32_t>>(array)) return {check(array), Kind::kS32};
    }
  }
  refuse(name, "a C-contiguous aligned array of uint8, int8, int16 or int32", object);
}

// A rule with its arrays: `(rule, other or None, out)`.
inline Codes codes_of(const py::tuple& given, std::size_t num_rows, std::size_t num_channels,
                      std::size_t num_groups) {
  if (given.size() != 3) refuse("codes", "tuples (rule, other, out)", given);
  const auto& rule = given[0].cast<const CodesRule&>();
  if (rule.num_channels != num_channels || rule.num_groups != num_groups) {
    throw UsageError("codes: a rule for " + std::to_string(rule.num_channels) + " channels in " +
                     std::to_string(rule.num_groups) + " groups; allowed is " +
                     std::to_string(num_channels) + " in " + std::to_string(num_groups));
  }
  const bool has_other = !rule.other_multiplier.empty();
  if (has_other == given[1].is_none()) {
    refuse("other", has_other ? "an array" : "None, for this rule has one multiplier", given[1]);
  }
  const std::size_t size = num_rows * num_channels;
  Codes codes{};
  codes.multiplier = rule.multiplier.data();
  codes.other_multiplier = rule.other_multiplier.data();
  codes.offset = rule.offset.data();
  codes.shift = rule.shift.data();
  codes.low = rule.low;
  codes.high = rule.high;
  codes.base = rule.base.data();
  codes.step = rule.step.data();
  codes.limits = rule.limits.data();
  codes.num_limits = rule.num_limits;
  codes.stride = rule.stride;
  if (has_other) codes.other = rows_of(given[1], "other", size, false);
  codes.out = rows_of(given[2], "out", size, true);
  return codes;
}

}  // namespace quantlab::bindings
