#include <optional>
#include <string_view>

#include "array.h"
#include "popcount/popcount.h"
#include "register.h"

namespace quantlab::bindings {
namespace {

namespace py = pybind11;

py::array popcount_rows(py::object words, py::object out, std::optional<std::string_view> variant,
                        std::optional<int> num_threads) {
  const Run run = run_of(variant, num_threads);
  const auto from = input_matrix<std::uint64_t>(words, "words");
  py::array counts = output<std::int64_t>(out, "out", from.num_rows);
  const auto to = view_of<std::int64_t>(counts);
  refuse_overlap("out", from.data, from.num_rows * from.num_columns, to.data, to.size);
  {
    const py::gil_scoped_release released;
    popcount::popcount(from, to, run);
  }
  return counts;
}

}  // namespace

void register_popcount(py::module_& module) {
  list_variants(module, "popcount", popcount::variants());
  module.def("popcount", &popcount_rows, py::arg("words"), py::arg("out"), py::arg("variant"),
             py::arg("num_threads").noconvert());
}

}  // namespace quantlab::bindings
