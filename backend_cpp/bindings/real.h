// Arrays of real numbers, of one of two types, from Python.
#pragma once

#include <pybind11/pybind11.h>

#include "memory.h"

namespace quantlab::bindings {

// Calls `use(Number{})` with the type of an array's numbers.
template <class Use>
void with_real_type(const py::object& object, const char* name, const Use& use) {
  if (py::isinstance<py::array_t<float>>(object)) return use(float{});
  if (py::isinstance<py::array_t<double>>(object)) return use(double{});
  refuse(name, "a C-contiguous aligned array of float32 or float64", object);
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

}  // namespace quantlab::bindings
