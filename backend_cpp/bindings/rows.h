// Arrays of integers of some type, from Python.
#pragma once

#include <pybind11/pybind11.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "array.h"
#include "quantlab/rows.h"

namespace quantlab::bindings {

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

}  // namespace quantlab::bindings
