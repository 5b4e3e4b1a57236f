#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "quantlab/lanes/count.h"

#include "codes.h"
#include "convolve_stages/convolve_stages.h"
#include "quantlab/aligned.h"
#include "register.h"

namespace quantlab::bindings {
namespace {

namespace py = pybind11;

constexpr std::size_t kPair = 2;
using Sizes = std::pair<long long, long long>;

std::size_t whole(std::size_t count, std::size_t part) { return (count + part - 1) / part * part; }

void require_bias(const char* name, std::size_t given, std::size_t allowed) {
  if (given != allowed) {
    throw UsageError(std::string(name) + ": " + std::to_string(given) + " biases; allowed is " +
                     std::to_string(allowed) + ", one an output");
  }
}

using Layer = std::pair<py::object, py::object>;  // weight, bias

// What a 1x1 convolution of int8 weights becomes; see convolve_stages/unit.h.
struct PackedPoint {
  AlignedVector<std::int8_t> bytes;
  AlignedVector<std::int16_t> words;
  AlignedVector<std::int32_t> bias;
  std::size_t num_chunks = 0;

  // Output o of the weight goes to `place(o)`, of so many.
  template <class Place>
  void pack(const MatrixView<const std::int8_t>& weight, const View<const std::int32_t>& start,
            bool is_words, std::size_t num_places, const Place& place) {
    const std::size_t chunk = is_words ? 2 : 4;
    num_chunks = whole(weight.num_columns, chunk) / chunk;
    const std::size_t block = num_chunks * kLanes * chunk;
    const std::size_t size = checked_product("weight", {num_places / kLanes, block});
    bias.assign(num_places, 0);
    if (is_words) {
      words.assign(size, 0);
    } else {
      bytes.assign(size, 0);
    }
    for (std::size_t output = 0; output < weight.num_rows; ++output) {
      const std::size_t to = place(output);
      bias[to] = start.data[output];
      for (std::size_t i = 0; i < weight.num_columns; ++i) {
        const std::size_t lane = (i / chunk * kLanes + to % kLanes) * chunk;
        const std::size_t at = to / kLanes * block + lane + i % chunk;
        const std::int8_t value = weight.data[output * weight.num_columns + i];
        if (is_words) {
          words[at] = value;
        } else {
          bytes[at] = value;
        }
      }
    }
  }

  convolve_stages::Point point() const {
    return {words.empty() ? static_cast<const void*>(bytes.data())
                          : static_cast<const void*>(words.data()),
            bias.data(), bias.size() / kLanes, num_chunks};
  }
};

struct PackedStages {
  PackedPoint entry;
  AlignedVector<std::int16_t> kernels;
  AlignedVector<std::int32_t> kernel_bias;
  std::vector<std::size_t> taps;
  PackedPoint exit;
  convolve_stages::Task task{};  // without memory and results

  std::size_t num_outputs() const { return task.num_outputs; }

  // Kernels of `area` places over `terms` outputs of the entry each, which has so many outputs.
  void pack_kernels(const Layer& layer, std::size_t num_entered, std::size_t area,
                    std::size_t terms) {
    const auto weight = input_matrix<std::int8_t>(layer.first, "kernels");
    const auto start = input<std::int32_t>(layer.second, "kernels");
    require_bias("kernels", start.size, weight.num_rows);
    if (terms == 0 || num_entered != weight.num_rows * terms ||
        weight.num_columns != area * terms) {
      throw UsageError("kernels: " + std::to_string(weight.num_rows) + " of " +
                       std::to_string(weight.num_columns) + " numbers over " +
                       std::to_string(num_entered) + " outputs of the entry; allowed are so many " +
                       "outputs for each as it has numbers for each of its " +
                       std::to_string(area) + " places");
    }
    const std::size_t tap = whole(terms, kPair) * kLanes;
    const std::size_t num_places = whole(weight.num_rows, kLanes);
    kernels.assign(checked_product("kernels", {num_places / kLanes, area, tap}), 0);
    kernel_bias.assign(num_places, 0);
    for (std::size_t base = 0; base < weight.num_rows; ++base) {
      kernel_bias[base] = start.data[base];
      for (std::size_t i = 0; i < weight.num_columns; ++i) {
        const std::size_t term = i % terms;
        const std::size_t lane = (term / kPair * kLanes + base % kLanes) * kPair + term % kPair;
        kernels[(base / kLanes * area + i / terms) * tap + lane] =
            weight.data[base * weight.num_columns + i];
      }
    }
  }
};

std::unique_ptr<PackedStages> packed_stages(
    std::tuple<long long, long long, long long> shape, bool is_words, const Layer& entry,
    long long entry_shift, const std::optional<Layer>& kernels, long long kernel_shift,
    const std::optional<Layer>& exit, Sizes kernel, Sizes stride, Sizes dilation,
    std::tuple<long long, long long, long long, long long> padding) {
  constexpr long long kMost = 1LL << 24;
  const auto [height, width, channels] = shape;
  const auto [top, left, bottom, right] = padding;
  for (const long long size : {height, width, channels}) require_in_range(size, "shape", 1, kMost);
  for (const auto& [name, sizes] : {std::pair<const char*, Sizes>{"kernel", kernel},
                                    {"stride", stride},
                                    {"dilation", dilation}}) {
    require_in_range(sizes.first, name, 1, kMost);
    require_in_range(sizes.second, name, 1, kMost);
  }
  for (const long long size : {top, left, bottom, right}) {
    require_in_range(size, "padding", 0, kMost);
  }
  require_in_range(entry_shift, "entry_shift", 0, 31);
  require_in_range(kernel_shift, "kernel_shift", 0, 31);

  auto packed = std::make_unique<PackedStages>();
  convolve_stages::Task& task = packed->task;
  task.is_words = is_words;
  task.height = static_cast<std::size_t>(height);
  task.width = static_cast<std::size_t>(width);
  task.channels = static_cast<std::size_t>(channels);
  task.entry_shift = static_cast<int>(entry_shift);
  task.kernel_shift = static_cast<int>(kernel_shift);

  task.has_kernels = kernels.has_value();
  const auto into = input_matrix<std::int8_t>(entry.first, "entry");
  const auto into_bias = input<std::int32_t>(entry.second, "entry");
  require_bias("entry", into_bias.size, into.num_rows);
  if (into.num_rows == 0 || into.num_columns != task.channels) {
    throw UsageError("entry: " + std::to_string(into.num_rows) + " outputs of " +
                     std::to_string(into.num_columns) + " channels; allowed is one at least, of " +
                     std::to_string(task.channels) + ", the shape's");
  }
  const std::size_t bases =
      kernels ? input_matrix<std::int8_t>(kernels->first, "kernels").num_rows : into.num_rows;
  const auto area = static_cast<std::size_t>(kernel.first * kernel.second);
  const std::size_t terms = bases == 0 ? 0 : into.num_rows / bases;
  const std::size_t num_pairs = whole(terms, kPair) / kPair;
  const std::size_t num_places = whole(bases, kLanes);
  if (kernels) {
    packed->pack_kernels(*kernels, into.num_rows, area, terms);
    packed->entry.pack(into, into_bias, is_words, num_pairs * num_places * kPair,
                       [&](std::size_t output) {
                         const std::size_t base = output / terms;
                         const std::size_t term = output % terms;
                         return (term / kPair * num_places + base) * kPair + term % kPair;
                       });
  } else {
    if (area != 1 || !exit || top != 0 || left != 0 || bottom != 0 || right != 0) {
      throw UsageError(
          "kernels: None given; allowed with a kernel of 1 x 1 without padding, and an "
          "exit");
    }
    packed->entry.pack(into, into_bias, is_words, num_places,
                       [](std::size_t output) { return output; });
  }
  task.entry = packed->entry.point();

  task.num_outputs = bases;
  task.has_exit = exit.has_value();
  if (exit) {
    const auto from = input_matrix<std::int8_t>(exit->first, "exit");
    const auto from_bias = input<std::int32_t>(exit->second, "exit");
    require_bias("exit", from_bias.size, from.num_rows);
    if (from.num_columns != bases || from.num_rows == 0) {
      throw UsageError("exit: " + std::to_string(from.num_rows) + " outputs of " +
                       std::to_string(from.num_columns) + " numbers; allowed is one at least, of " +
                       std::to_string(bases) + ", the kernels");
    }
    task.num_outputs = from.num_rows;
    packed->exit.pack(from, from_bias, true, whole(from.num_rows, kLanes),
                      [](std::size_t output) { return output; });
    task.exit = packed->exit.point();
  }

  const long long reach[2] = {(kernel.first - 1) * dilation.first + 1,
                              (kernel.second - 1) * dilation.second + 1};
  const long long padded[2] = {top + height + bottom, left + width + right};
  if (padded[0] < reach[0] || padded[1] < reach[1]) {
    throw UsageError("kernel: reaches over " + std::to_string(reach[0]) + " x " +
                     std::to_string(reach[1]) + "; allowed is what the padded input has, " +
                     std::to_string(padded[0]) + " x " + std::to_string(padded[1]));
  }
  task.num_rows = static_cast<std::size_t>((padded[0] - reach[0]) / stride.first + 1);
  task.num_columns = static_cast<std::size_t>((padded[1] - reach[1]) / stride.second + 1);
  task.padded_width = static_cast<std::size_t>(padded[1]);
  const std::size_t pixel = checked_product("kernels", {num_pairs, num_places, kPair});
  for (long long i = 0; i < kernel.first; ++i) {
    for (long long j = 0; j < kernel.second; ++j) {
      const auto place =
          static_cast<std::size_t>(i * dilation.first * padded[1] + j * dilation.second);
      for (std::size_t pair = 0; pair < num_pairs; ++pair) {
        packed->taps.push_back(place * pixel + pair * num_places * kPair);
      }
    }
  }
  task.kernels = {
      packed->kernels.data(),
      packed->kernel_bias.data(),
      num_places / kLanes,
      num_pairs,
      packed->taps.data(),
      packed->taps.size(),
      kernel.second == 3 && num_pairs == 1 && dilation.second == 1 && stride.second == 1,
      static_cast<std::size_t>(reach[0]),
      {static_cast<std::size_t>(stride.first), static_cast<std::size_t>(stride.second)},
      {static_cast<std::size_t>(top), static_cast<std::size_t>(left)}};
  return packed;
}

void convolve(py::object x, const PackedStages& stages, long long given_images, py::object sums,
              const std::vector<py::tuple>& codes, std::optional<std::string_view> variant,
              std::optional<int> num_threads) {
  const Run run = run_of(variant, num_threads);
  require_in_range(given_images, "num_images", 0, 1LL << 40);
  const auto num_images = static_cast<std::size_t>(given_images);
  convolve_stages::Task task = stages.task;
  Memory memory;
  std::size_t size = 0;
  const auto read = [&](auto from) {
    task.x = from.data;
    size = from.size;
    memory.add_input("x", from);
  };
  if (task.is_words) {
    read(input<std::int16_t>(x, "x"));
  } else {
    read(input<std::uint8_t>(x, "x"));
  }
  const std::size_t chunk = task.is_words ? 2 : 4;
  const std::size_t numbers =
      checked_product("num_images", {num_images, task.height, task.width, task.channels});
  const std::size_t needed =
      num_images == 0 ? 0 : numbers - task.channels + whole(task.channels, chunk);
  if (size < needed) {
    throw UsageError("x: " + std::to_string(size) + " numbers; at least " + std::to_string(needed) +
                     " are read");
  }
  const std::size_t num_pixels =
      checked_product("num_images", {num_images, task.num_rows, task.num_columns});
  const ResultArrays results(sums, codes, num_pixels, task.num_outputs, 1, memory);
  task.results = results.results();
  const py::gil_scoped_release released;
  convolve_stages::convolve(task, num_images, run);
}

}  // namespace

void register_convolve_stages(py::module_& module) {
  list_variants(module, "convolve_stages", convolve_stages::variants());
  py::class_<PackedStages>(module, "PackedStages")
      .def(py::init(&packed_stages), py::arg("shape"), py::arg("is_words"), py::arg("entry"),
           py::arg("entry_shift"), py::arg("kernels"), py::arg("kernel_shift"), py::arg("exit"),
           py::arg("kernel"), py::arg("stride"), py::arg("dilation"), py::arg("padding"))
      .def_property_readonly("num_outputs", &PackedStages::num_outputs);
  module.def("convolve_stages", &convolve, py::arg("x"), py::arg("stages"),
             py::arg("num_images").noconvert(), py::arg("sums"), py::arg("codes"),
             py::arg("variant"), py::arg("num_threads").noconvert());
}

}  // namespace quantlab::bindings
