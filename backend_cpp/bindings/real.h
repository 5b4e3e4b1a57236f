// Arrays of real numbers, of one of two types, from Python.
#pragma once

#include <pybind11/pybind11.h>

#include <cmath>
#include <string>

#include "memory.h"
#include "quantlab/half.h"

namespace pybind11::detail {

template <>
struct npy_format_descriptor<quantlab::Half> {
  static constexpr auto name = const_name("numpy.float16");
  static pybind11::dtype dtype() { return pybind11::dtype(23); }  // NPY_HALF
};

}  // namespace pybind11::detail

namespace quantlab::bindings {

// Calls `use(Number{})` with the type of an array's numbers, in which they are computed too.
template <class Use>
void with_float_type(const py::object& object, const char* name, const Use& use) {
  if (py::isinstance<py::array_t<float>>(object)) return use(float{});
  if (py::isinstance<py::array_t<double>>(object)) return use(double{});
  refuse(name, "a C-contiguous aligned array of float32 or float64", object);
}

// Calls `use(Number{}, Input{})` with the type that is computed in and that of an array's numbers.
template <class Use>
void with_real_type(const py::object& object, const char* name, const Use& use) {
  if (py::isinstance<py::array_t<float>>(object)) return use(float{}, float{});
  if (py::isinstance<py::array_t<double>>(object)) return use(double{}, double{});
  if (py::isinstance<py::array_t<Half>>(object)) return use(float{}, Half{});
  refuse(name, "a C-contiguous aligned array of float16, float32 or float64", object);
}

// An array of `size` numbers that is read.
template <class T>
const T* read_reals(const py::object& object, const char* name, std::size_t size, Memory& memory) {
  const auto from = input<T>(object, name);
  if (from.size != size) {
    refuse(name, "an array of " + std::to_string(size) + " items", object);
  }
  memory.add_input(name, from);
  return from.data;
}

// One that is written; null for None.
template <class T>
T* written_reals(const py::object& object, const char* name, std::size_t size, Memory& memory) {
  if (object.is_none()) return nullptr;
  py::array to = writeable<T>(object, name, size);
  memory.add(name, to.data(), size * sizeof(T), true);
  return view_of<T>(to).data;
}

// Of numbers start + code * step.
inline void require_step(float start, float step) {
  if (!std::isfinite(start) || !std::isfinite(step) || step <= 0.0f) {
    throw UsageError("step: " + std::to_string(step) + " from " + std::to_string(start) +
                     "; a finite number and one above zero allowed");
  }
}

}  // namespace quantlab::bindings
