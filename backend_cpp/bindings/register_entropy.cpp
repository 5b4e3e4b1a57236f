#include "array.h"
#include "quantlab/entropy.h"
#include "register.h"

namespace quantlab::bindings {
namespace {

namespace py = pybind11;
using entropy::Models;

Models models_of(bool is_mixed) { return is_mixed ? Models::kMixed : Models::kOne; }

py::bytes entropy_encode(py::object codes, int num_bits, bool is_mixed) {
  require_in_range(num_bits, "num_bits", 1, 8);
  const auto from = input_matrix<std::uint8_t>(codes, "codes");
  std::vector<std::uint8_t> bytes;
  {
    const py::gil_scoped_release released;
    bytes = entropy::encode(from, num_bits, models_of(is_mixed));
  }
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

py::array entropy_decode(py::object bytes, int num_bits, long long num_rows, long long num_columns,
                         bool is_mixed) {
  require_in_range(num_bits, "num_bits", 1, 8);
  constexpr long long kMost = std::numeric_limits<std::int32_t>::max();
  require_in_range(num_rows, "num_rows", 0, kMost);
  require_in_range(num_columns, "num_columns", 0, num_rows == 0 ? kMost : kMost / num_rows);
  const auto from = input<std::uint8_t>(bytes, "bytes");
  py::array_t<std::uint8_t> codes({num_rows, num_columns});
  const MatrixView<std::uint8_t> to{codes.mutable_data(), static_cast<std::size_t>(num_rows),
                                    static_cast<std::size_t>(num_columns)};
  {
    const py::gil_scoped_release released;
    entropy::decode(from, num_bits, models_of(is_mixed), to);
  }
  return std::move(codes);
}

}  // namespace

void register_entropy(py::module_& module) {
  module.def("entropy_encode", &entropy_encode, py::arg("codes"), py::arg("num_bits").noconvert(),
             py::arg("is_mixed").noconvert());
  module.def("entropy_decode", &entropy_decode, py::arg("bytes"), py::arg("num_bits").noconvert(),
             py::arg("num_rows").noconvert(), py::arg("num_columns").noconvert(),
             py::arg("is_mixed").noconvert());
}

}  // namespace quantlab::bindings
