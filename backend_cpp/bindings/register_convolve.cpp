#include <memory>
#include <optional>
#include <string_view>

#include "quantlab/lanes/count.h"

#include "codes.h"
#include "convolve/convolve.h"
#include "register.h"
#include "window_places.h"

namespace quantlab::bindings {
namespace {

namespace py = pybind11;

// Weights in the order of the kernel, and what belongs to them; see convolve/unit.h.
struct PackedWeights {
  std::vector<std::int8_t> bytes;
  std::vector<std::int16_t> words;
  std::vector<std::int32_t> bias;
  std::size_t num_outputs = 0;
  std::size_t num_groups = 0;
  std::size_t num_spans = 0;
  std::size_t span = 0;  // numbers of the input in a span
  std::size_t num_chunks = 0;
  std::size_t chunk = 0;
  bool is_depthwise = false;
  std::vector<std::int32_t> channels;  // of a depthwise layer

  // Of the constants that follow.
  std::size_t constant_groups() const { return is_depthwise ? 1 : num_groups; }
};

// weight: `[outputs, spans * span]`, the numbers in the order in which a window has them.
std::unique_ptr<PackedWeights> packed_weights(py::object weight, py::object bias,
                                              long long given_groups, long long given_spans,
                                              bool is_words) {
  require_in_range(given_groups, "num_groups", 1, 1LL << 40);
  require_in_range(given_spans, "num_spans", 1, 1LL << 40);
  const auto num_groups = static_cast<std::size_t>(given_groups);
  const auto num_spans = static_cast<std::size_t>(given_spans);
  const auto from = input_matrix<std::int8_t>(weight, "weight");
  const auto start = input<std::int32_t>(bias, "bias");
  if (from.num_rows % num_groups != 0 || from.num_columns % num_spans != 0 ||
      start.size != from.num_rows) {
    throw UsageError("weight: " + std::to_string(from.num_rows) + " outputs of " +
                     std::to_string(from.num_columns) + " numbers, " + std::to_string(start.size) +
                     " biases; allowed are multiples of " + std::to_string(num_groups) +
                     " groups and " + std::to_string(num_spans) + " spans, one bias an output");
  }
  auto packed = std::make_unique<PackedWeights>();
  packed->num_outputs = from.num_rows;
  packed->num_groups = num_groups;
  packed->num_spans = num_spans;
  packed->span = from.num_columns / num_spans;
  packed->chunk = is_words ? 2 : 4;
  packed->num_chunks = (packed->span + packed->chunk - 1) / packed->chunk;
  packed->is_depthwise = num_groups > 1 && num_groups == from.num_rows && packed->span == 1;
  if (packed->is_depthwise) {
    const std::size_t blocks = (from.num_rows + kLanes - 1) / kLanes;
    packed->bias.assign(blocks * kLanes, 0);
    packed->channels.assign(checked_product("weight", {blocks, num_spans, kLanes}), 0);
    for (std::size_t channel = 0; channel < from.num_rows; ++channel) {
      packed->bias[channel] = start.data[channel];
      for (std::size_t i = 0; i < num_spans; ++i) {
        packed->channels[(channel / kLanes * num_spans + i) * kLanes + channel % kLanes] =
            from.data[channel * num_spans + i];
      }
    }
    return packed;
  }
  const std::size_t group_outputs = from.num_rows / num_groups;
  const std::size_t group_blocks = (group_outputs + kLanes - 1) / kLanes;
  const std::size_t block =
      checked_product("weight", {num_spans, packed->num_chunks, kLanes, packed->chunk});
  const std::size_t size = checked_product("weight", {num_groups, group_blocks, block});
  packed->bias.assign(num_groups * group_blocks * kLanes, 0);
  if (is_words) {
    packed->words.assign(size, 0);
  } else {
    packed->bytes.assign(size, 0);
  }
  for (std::size_t output = 0; output < from.num_rows; ++output) {
    const std::size_t within = output % group_outputs;
    const std::size_t number = output / group_outputs * group_blocks + within / kLanes;
    const std::size_t lane = within % kLanes;
    packed->bias[number * kLanes + lane] = start.data[output];
    for (std::size_t i = 0; i < from.num_columns; ++i) {
      const std::size_t chunk =
          i / packed->span * packed->num_chunks + i % packed->span / packed->chunk;
      const std::size_t at = number * block + (chunk * kLanes + lane) * packed->chunk +
                             i % packed->span % packed->chunk;
      const std::int8_t value = from.data[output * from.num_columns + i];
      if (is_words) {
        packed->words[at] = value;
      } else {
        packed->bytes[at] = value;
      }
    }
  }
  return packed;
}

void convolve_windows(py::object x, const WindowPlaces& places, const PackedWeights& weights,
                      py::object sums, const std::vector<py::tuple>& codes,
                      std::optional<std::string_view> variant, std::optional<int> num_threads) {
  const Run run = run_of(variant, num_threads);
  const bool is_words = weights.chunk == 2;
  convolve::Task task{};
  task.is_words = is_words;
  Memory memory;
  std::size_t size = 0;
  const auto read = [&](auto from) {
    task.x = from.data;
    size = from.size;
    memory.add_input("x", from);
  };
  if (is_words) {
    read(input<std::int16_t>(x, "x"));
  } else {
    read(input<std::uint8_t>(x, "x"));
  }
  const std::size_t last = checked_product("num_groups", {weights.num_groups - 1, weights.span});
  const std::size_t behind = weights.is_depthwise
                                 ? (kLanes - weights.num_outputs % kLanes) % kLanes + 1
                                 : weights.num_chunks * weights.chunk;
  require_reach(places, weights.num_spans, checked_sum("num_groups", {last, behind}), "x", size,
                "numbers");
  task.windows = places.windows;
  task.weights = {weights.is_depthwise ? static_cast<const void*>(weights.channels.data())
                  : is_words           ? static_cast<const void*>(weights.words.data())
                                       : static_cast<const void*>(weights.bytes.data()),
                  weights.bias.data(),
                  weights.num_outputs,
                  weights.num_groups,
                  weights.span,
                  weights.num_chunks,
                  weights.is_depthwise};
  const ResultArrays results(sums, codes, places.num_windows, weights.num_outputs,
                             weights.constant_groups(), memory);
  task.results = results.results();
  const py::gil_scoped_release released;
  convolve::convolve(task, places.num_windows, run);
}

}  // namespace

void register_convolve(py::module_& module) {
  list_variants(module, "convolve", convolve::variants());
  py::class_<PackedWeights>(module, "PackedWeights")
      .def(py::init(&packed_weights), py::arg("weight"), py::arg("bias"),
           py::arg("num_groups").noconvert(), py::arg("num_spans").noconvert(), py::arg("is_words"))
      .def_readonly("num_outputs", &PackedWeights::num_outputs)
      .def_readonly("is_depthwise", &PackedWeights::is_depthwise);
  py::class_<WindowPlaces>(module, "WindowPlaces")
      .def(py::init(&window_places), py::arg("counts"), py::arg("steps"), py::arg("spans"))
      .def_readonly("num_windows", &WindowPlaces::num_windows);
  module.def("convolve", &convolve_windows, py::arg("x"), py::arg("windows"), py::arg("weights"),
             py::arg("sums"), py::arg("codes"), py::arg("variant"),
             py::arg("num_threads").noconvert());
  module.def(
      "peak",
      [](long long repeats, std::optional<std::string_view> variant) {
        require_in_range(repeats, "repeats", 0, 1LL << 40);
        const Run run = run_of(variant, std::nullopt);
        const py::gil_scoped_release released;
        return convolve::peak(static_cast<std::size_t>(repeats), run);
      },
      py::arg("repeats"), py::arg("variant"));
}

}  // namespace quantlab::bindings
