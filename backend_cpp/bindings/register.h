#pragma once

#include <pybind11/pybind11.h>

#include <string>
#include <vector>

#include "quantlab/isa.h"

namespace quantlab::bindings {

void register_isa(pybind11::module_& module);
void register_bitpack(pybind11::module_& module);
void register_convolve(pybind11::module_& module);
void register_convolve_bits(pybind11::module_& module);
void register_convolve_stages(pybind11::module_& module);
void register_entropy(pybind11::module_& module);
void register_factored(pybind11::module_& module);
void register_normalize(pybind11::module_& module);
void register_planes(pybind11::module_& module);
void register_pool(pybind11::module_& module);
void register_popcount(pybind11::module_& module);
void register_requantize(pybind11::module_& module);
void register_sparse(pybind11::module_& module);
void register_sparse_gather(pybind11::module_& module);
void register_sparse_int8(pybind11::module_& module);

// Adds `kernel` and its rows that run here to the module's dict VARIANTS.
inline void list_variants(pybind11::module_& module, const char* kernel,
                          const std::vector<Isa>& isas) {
  pybind11::tuple names(isas.size());
  for (std::size_t i = 0; i < isas.size(); ++i) names[i] = pybind11::str(name(isas[i]));
  module.attr("VARIANTS")[kernel] = names;
}

}  // namespace quantlab::bindings
