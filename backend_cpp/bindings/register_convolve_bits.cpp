#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "quantlab/lanes/count.h"

#include "codes.h"
#include "convolve_bits/convolve_bits.h"
#include "register.h"
#include "window_places.h"

namespace quantlab::bindings {
namespace {

namespace py = pybind11;

constexpr long long kMostChannels = 1 << 24;

std::size_t words_for(std::size_t channels) { return (channels + 63) / 64; }

// Weights of -1, 0 and 1 in the order of the kernel; see convolve_bits/unit.h.
struct PackedBits {
  std::vector<std::uint64_t> words;
  std::vector<std::int32_t> bias;
  std::size_t num_outputs = 0;
  std::size_t num_spans = 0;
  std::size_t channels = 0;
  std::size_t span = 0;  // words of the input in a span
};

// weight: `[outputs, spans * pixels of a span * channels]`.
std::unique_ptr<PackedBits> packed_bits(py::object weight, py::object bias, long long given_spans,
                                        long long given_channels) {
  require_in_range(given_spans, "num_spans", 1, 1LL << 40);
  require_in_range(given_channels, "channels", 1, kMostChannels);
  const auto num_spans = static_cast<std::size_t>(given_spans);
  const auto channels = static_cast<std::size_t>(given_channels);
  const auto from = input_matrix<std::int8_t>(weight, "weight");
  const auto start = input<std::int32_t>(bias, "bias");
  if (from.num_columns % checked_product("num_spans", {num_spans, channels}) != 0 ||
      start.size != from.num_rows) {
    throw UsageError("weight: " + std::to_string(from.num_rows) + " outputs of " +
                     std::to_string(from.num_columns) + " numbers, " + std::to_string(start.size) +
                     " biases; allowed are multiples of " + std::to_string(num_spans) +
                     " spans of " + std::to_string(channels) + " channels, one bias an output");
  }
  auto packed = std::make_unique<PackedBits>();
  packed->num_outputs = from.num_rows;
  packed->num_spans = num_spans;
  packed->channels = channels;
  const std::size_t num_pixels = from.num_columns / channels;
  const std::size_t pixel_words = words_for(channels);
  packed->span = num_pixels / num_spans * pixel_words;
  const std::size_t num_blocks = (from.num_rows + kLanes - 1) / kLanes;
  packed->bias.assign(num_blocks * kLanes, 0);
  packed->words.assign(checked_product("weight", {num_blocks, num_pixels, pixel_words, 2, kLanes}),
                       0);
  for (std::size_t output = 0; output < from.num_rows; ++output) {
    packed->bias[output] = start.data[output];
    for (std::size_t i = 0; i < from.num_columns; ++i) {
      const std::int8_t value = from.data[output * from.num_columns + i];
      require_in_range(value, "weight", -1, 1);
      const std::size_t word = i / channels * pixel_words + i % channels / 64;
      std::uint64_t* to = packed->words.data() +
                          ((output / kLanes * num_pixels * pixel_words + word) * 2) * kLanes +
                          output % kLanes;
      to[0] |= static_cast<std::uint64_t>(value < 0) << i % channels % 64;
      to[kLanes] |= static_cast<std::uint64_t>(value != 0) << i % channels % 64;
    }
  }
  return packed;
}

void pack_bits(py::object x, py::object planes, long long given_channels,
               std::optional<std::string_view> variant, std::optional<int> num_threads) {
  const Run run = run_of(variant, num_threads);
  const auto from = input<std::int8_t>(x, "x");
  require_in_range(given_channels, "channels", 1, kMostChannels);
  const auto channels = static_cast<std::size_t>(given_channels);
  if (from.size % channels != 0) {
    throw UsageError("x: " + std::to_string(from.size) + " numbers; a multiple of " +
                     std::to_string(channels) + " channels is allowed");
  }
  const std::size_t num_pixels = from.size / channels;
  const std::size_t plane = num_pixels * words_for(channels);
  py::array to = writeable<std::uint64_t>(planes, "planes", 2 * plane);
  auto* words = view_of<std::uint64_t>(to).data;
  refuse_overlap("planes", from.data, from.size, words, 2 * plane, "x");
  const py::gil_scoped_release released;
  convolve_bits::pack(from.data, num_pixels, channels, {words, words + plane}, run);
}

void convolve_packed(py::object planes, const WindowPlaces& places, const PackedBits& weights,
                     py::object sums, const std::vector<py::tuple>& codes,
                     std::optional<std::string_view> variant, std::optional<int> num_threads) {
  const Run run = run_of(variant, num_threads);
  const auto words = input<std::uint64_t>(planes, "planes");
  const std::size_t plane = words.size / 2;
  require_reach(places, weights.num_spans, weights.span, "planes", plane, "words each");
  Memory memory;
  memory.add_input("planes", words);
  auto* below = const_cast<std::uint64_t*>(words.data);
  convolve_bits::Task task{};
  task.x = {below, below + plane};
  task.windows = places.windows;
  task.span = weights.span;
  task.weights = weights.words.data();
  task.bias = weights.bias.data();
  task.num_outputs = weights.num_outputs;
  const ResultArrays results(sums, codes, places.num_windows, weights.num_outputs, 1, memory);
  task.results = results.results();
  const py::gil_scoped_release released;
  convolve_bits::convolve(task, places.num_windows, run);
}

}  // namespace

void register_convolve_bits(py::module_& module) {
  list_variants(module, "convolve_bits", convolve_bits::variants());
  py::class_<PackedBits>(module, "PackedBits")
      .def(py::init(&packed_bits), py::arg("weight"), py::arg("bias"),
           py::arg("num_spans").noconvert(), py::arg("channels").noconvert())
      .def_readonly("num_outputs", &PackedBits::num_outputs);
  module.def("pack_bits", &pack_bits, py::arg("x"), py::arg("planes"),
             py::arg("channels").noconvert(), py::arg("variant"),
             py::arg("num_threads").noconvert());
  module.def("convolve_bits", &convolve_packed, py::arg("planes"), py::arg("windows"),
             py::arg("weights"), py::arg("sums"), py::arg("codes"), py::arg("variant"),
             py::arg("num_threads").noconvert());
}

}  // namespace quantlab::bindings
