#include <pybind11/pybind11.h>

#include <exception>

#include "quantlab/error.h"
#include "register.h"

namespace py = pybind11;

PYBIND11_MODULE(_backend, module, py::mod_gil_not_used()) {
  module.doc() = "Kernels over NumPy arrays; use it through quantlab.backend.";
  py::register_local_exception_translator([](std::exception_ptr thrown) {
    try {
      if (thrown) std::rethrow_exception(thrown);
    } catch (const quantlab::UsageError& error) {
      const py::object type = py::module_::import("quantlab.errors").attr("UsageError");
      py::set_error(type, error.what());
    }
  });

  module.attr("VARIANTS") = py::dict();
  quantlab::bindings::register_isa(module);
  quantlab::bindings::register_bitpack(module);
  quantlab::bindings::register_entropy(module);
  quantlab::bindings::register_factored(module);
  quantlab::bindings::register_popcount(module);
  quantlab::bindings::register_normalize(module);
  quantlab::bindings::register_planes(module);
  quantlab::bindings::register_pool(module);
  quantlab::bindings::register_requantize(module);
  quantlab::bindings::register_sparse(module);
  quantlab::bindings::register_sparse_gather(module);
  quantlab::bindings::register_sparse_int8(module);
  quantlab::bindings::register_convolve(module);
  quantlab::bindings::register_convolve_bits(module);
  quantlab::bindings::register_convolve_stages(module);
}
