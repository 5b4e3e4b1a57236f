// Views of NumPy arrays, checked and never copied. Errors name the argument, what was given and
// what is allowed.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

#include "quantlab/error.h"
#include "quantlab/run.h"
#include "quantlab/view.h"

namespace quantlab::bindings {

namespace py = pybind11;

inline std::string as_text(py::handle object) { return py::str(object).cast<std::string>(); }

inline std::string described(py::handle object) {
  if (!py::isinstance<py::array>(object)) {
    return as_text(py::type::handle_of(object).attr("__name__"));
  }
  return as_text(object.attr("dtype")) + " of shape " + as_text(object.attr("shape")) +
         " and strides " + as_text(object.attr("strides"));
}

[[noreturn]] inline void refuse(const char* name, const std::string& wanted, py::handle object) {
  throw UsageError(std::string(name) + ": expected " + wanted + ", got " + described(object));
}

// The array behind `object`, if its type is T, it has `num_dimensions`, is C-contiguous and
// aligned.
template <class T>
py::array dense(py::handle object, const char* name, int num_dimensions) {
  if (py::isinstance<py::array_t<T>>(object)) {
    auto array = py::reinterpret_borrow<py::array>(object);
    constexpr int kDense = py::array::c_style | py::detail::npy_api::NPY_ARRAY_ALIGNED_;
    if (array.ndim() == num_dimensions && (array.flags() & kDense) == kDense) return array;
  }
  refuse(name,
         "a C-contiguous aligned " + std::to_string(num_dimensions) + "-D " +
             as_text(py::dtype::of<T>()) + " array",
         object);
}

// The numbers of an array of any shape; none if `object` is not one.
inline std::size_t size_of(py::handle object) {
  if (!py::isinstance<py::array>(object)) return 0;
  return static_cast<std::size_t>(py::reinterpret_borrow<py::array>(object).size());
}

template <class T>
View<const T> input(py::handle object, const char* name) {
  const py::array array = dense<T>(object, name, 1);
  return {static_cast<const T*>(array.data()), static_cast<std::size_t>(array.size())};
}

template <class T>
MatrixView<const T> input_matrix(py::handle object, const char* name) {
  const py::array array = dense<T>(object, name, 2);
  return {static_cast<const T*>(array.data()), static_cast<std::size_t>(array.shape(0)),
          static_cast<std::size_t>(array.shape(1))};
}

// `object` itself if it is a writeable array of `size` items.
template <class T>
py::array writeable(py::handle object, const char* name, std::size_t size) {
  py::array array = dense<T>(object, name, 1);
  if (!array.writeable()) refuse(name, "a writeable array", object);
  if (static_cast<std::size_t>(array.size()) != size) {
    refuse(name, "an array of " + std::to_string(size) + " items", object);
  }
  return array;
}

// The same, or a new array if `object` is None.
template <class T>
py::array output(py::handle object, const char* name, std::size_t size) {
  if (object.is_none()) return py::array_t<T>(static_cast<py::ssize_t>(size));
  return writeable<T>(object, name, size);
}

template <class T>
View<T> view_of(py::array& array) {
  return {static_cast<T*>(array.mutable_data()), static_cast<std::size_t>(array.size())};
}

template <class A, class B>
void refuse_overlap(const char* name, const A* a, std::size_t size_a, const B* b,
                    std::size_t size_b, const char* other = "the input") {
  if (size_a == 0 || size_b == 0) return;
  const auto begin_a = reinterpret_cast<std::uintptr_t>(a);
  const auto begin_b = reinterpret_cast<std::uintptr_t>(b);
  if (begin_a < begin_b + size_b * sizeof(B) && begin_b < begin_a + size_a * sizeof(A)) {
    throw UsageError(std::string(name) + ": shares memory with " + other + "; allowed is its own");
  }
}

inline void require_in_range(long long value, const char* name, long long smallest,
                             long long largest) {
  if (value < smallest || value > largest) {
    throw UsageError(std::string(name) + ": " + std::to_string(value) + "; allowed is " +
                     std::to_string(smallest) + ".." + std::to_string(largest));
  }
}

// Sizes that an argument makes are at most those that an array can have, so that none wraps around.
constexpr auto kMostNumbers = static_cast<std::size_t>(std::numeric_limits<std::ptrdiff_t>::max());

[[noreturn]] inline void refuse_size(const char* name) {
  throw UsageError(std::string(name) + ": makes more than " + std::to_string(kMostNumbers) +
                   " numbers; allowed are fewer");
}

inline std::size_t checked_product(const char* name, std::initializer_list<std::size_t> factors) {
  std::size_t product = 1;
  for (const std::size_t factor : factors) {
    if (factor != 0 && product > kMostNumbers / factor) refuse_size(name);
    product *= factor;
  }
  return product;
}

inline std::size_t checked_sum(const char* name, std::initializer_list<std::size_t> parts) {
  std::size_t sum = 0;
  for (const std::size_t part : parts) {
    if (part > kMostNumbers - sum) refuse_size(name);
    sum += part;
  }
  return sum;
}

inline Run run_of(std::optional<std::string_view> variant, std::optional<int> num_threads) {
  if (num_threads) require_in_range(*num_threads, "num_threads", 1, 1024);
  return {variant.value_or(""), num_threads.value_or(0)};
}

}  // namespace quantlab::bindings
