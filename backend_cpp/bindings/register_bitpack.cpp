#include <optional>
#include <string_view>

#include "array.h"
#include "bitpack/bitpack.h"
#include "register.h"

namespace quantlab::bindings {
namespace {

namespace py = pybind11;

using Variant = std::optional<std::string_view>;

py::array pack(py::object codes, int num_bits, py::object out, Variant variant,
               std::optional<int> num_threads) {
  require_in_range(num_bits, "num_bits", 1, 8);
  const Run run = run_of(variant, num_threads);
  const auto from = input<std::uint8_t>(codes, "codes");
  py::array packed = output<std::uint8_t>(out, "out", bitpack::packed_bytes(from.size, num_bits));
  const auto to = view_of<std::uint8_t>(packed);
  refuse_overlap("out", from.data, from.size, to.data, to.size);
  {
    const py::gil_scoped_release released;
    bitpack::pack(from, num_bits, to, run);
  }
  return packed;
}

py::array unpack(py::object packed, int num_bits, long long num_codes, py::object out,
                 Variant variant, std::optional<int> num_threads) {
  require_in_range(num_bits, "num_bits", 1, 8);
  const Run run = run_of(variant, num_threads);
  const auto from = input<std::uint8_t>(packed, "packed");
  const auto most = static_cast<long long>(from.size) * 8 / num_bits;
  require_in_range(num_codes, "num_codes", 0, most);
  const auto size = static_cast<std::size_t>(num_codes);
  const std::size_t expected = bitpack::packed_bytes(size, num_bits);
  if (from.size != expected) {
    throw UsageError("packed: " + std::to_string(from.size) + " bytes; allowed is " +
                     std::to_string(expected) + " for num_codes=" + std::to_string(num_codes) +
                     " and num_bits=" + std::to_string(num_bits));
  }
  py::array codes = output<std::uint8_t>(out, "out", size);
  const auto to = view_of<std::uint8_t>(codes);
  refuse_overlap("out", from.data, from.size, to.data, to.size);
  {
    const py::gil_scoped_release released;
    bitpack::unpack(from, num_bits, to, run);
  }
  return codes;
}

}  // namespace

void register_bitpack(py::module_& module) {
  list_variants(module, "pack", bitpack::variants());
  list_variants(module, "unpack", bitpack::variants());
  module.def("pack", &pack, py::arg("codes"), py::arg("num_bits").noconvert(), py::arg("out"),
             py::arg("variant"), py::arg("num_threads").noconvert());
  module.def("unpack", &unpack, py::arg("packed"), py::arg("num_bits").noconvert(),
             py::arg("num_codes").noconvert(), py::arg("out"), py::arg("variant"),
             py::arg("num_threads").noconvert());
}

}  // namespace quantlab::bindings
