#include <string_view>

#include "quantlab/isa.h"
#include "quantlab/parallel.h"
#include "register.h"

namespace quantlab::bindings {

namespace py = pybind11;

void register_isa(py::module_& module) {
  module.def("supported_isas", [] {
    py::tuple names(supported_isas().size());
    for (std::size_t i = 0; i < names.size(); ++i) names[i] = py::str(name(supported_isas()[i]));
    return names;
  });
  module.def("isa", [] { return name(active_isa()); });
  module.def("activate", &activate, py::arg("isa"));
  module.def("max_threads", &max_threads);
}

}  // namespace quantlab::bindings
