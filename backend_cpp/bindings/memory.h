// Arrays of integers of some type, from Python, and the memory of all arrays of a call.
#pragma once

#include <pybind11/pybind11.h>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "array.h"
#include "quantlab/rows.h"

namespace quantlab::bindings {

// What a call reads and writes. Threads write in no order, so what is written is nothing else's.
class Memory {
 public:
  void add(const char* name, const void* data, std::size_t num_bytes, bool is_written) {
    const Part part{name, static_cast<const char*>(data), num_bytes, is_written};
    for (const Part& other : parts_) {
      if (!is_written && !other.is_written) continue;
      refuse_overlap(name, part.data, num_bytes, other.data, other.num_bytes, other.name);
    }
    parts_.push_back(part);
  }

  template <class T>
  void add_input(const char* name, View<const T> from) {
    add(name, from.data, from.size * sizeof(T), false);
  }

 private:
  struct Part {
    const char* name;
    const char* data;
    std::size_t num_bytes;
    bool is_written;
  };
  std::vector<Part> parts_;
};

// Whether all integers low..high are of a type.
inline bool holds(Kind kind, std::int64_t low, std::int64_t high) {
  const auto is_within = [&](auto type) {
    using Limits = std::numeric_limits<decltype(type)>;
    return low >= Limits::min() && high <= Limits::max();
  };
  switch (kind) {
    case Kind::kU8:
      return is_within(std::uint8_t{});
    case Kind::kS8:
      return is_within(std::int8_t{});
    case Kind::kS16:
      return is_within(std::int16_t{});
    default:
      return is_within(std::int32_t{});
  }
}

// A dense array of integers that a kernel reads or writes, of `size` numbers.
inline Rows rows_of(py::handle object, const char* name, std::size_t size, bool is_written,
                    Memory& memory) {
  const auto check = [&](const py::array& array) {
    if (is_written && !array.writeable()) refuse(name, "a writeable array", object);
    if (static_cast<std::size_t>(array.size()) != size) {
      refuse(name, "an array of " + std::to_string(size) + " numbers", object);
    }
    memory.add(name, array.data(), static_cast<std::size_t>(array.nbytes()), is_written);
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
