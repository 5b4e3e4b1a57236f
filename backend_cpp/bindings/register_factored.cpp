#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "factored/factored.h"
#include "factored_bf16/factored_bf16.h"
#include "memory.h"
#include "quantlab/layer_table.h"
#include "register.h"

namespace quantlab::bindings {
namespace {

namespace py = pybind11;

using factored::Factor;
using factored::Geometry;
using factored::Pair;
using factored::Plan;
using GivenPair = std::pair<long long, long long>;

constexpr long long kMost = 1LL << 24;  // of each length, so that few of them multiply safely

Pair pair_of(const GivenPair& given, const char* name, long long smallest) {
  require_in_range(given.first, name, smallest, kMost);
  require_in_range(given.second, name, smallest, kMost);
  return {static_cast<std::size_t>(given.first), static_cast<std::size_t>(given.second)};
}

// Weights from Python: an array of float32, or a pair of codes and scales.
struct GivenFactor {
  Factor factor{};
  std::vector<std::size_t> shape;

  std::size_t length(std::size_t axis) const { return shape[axis]; }
};

std::string text_of(const std::vector<std::size_t>& shape) {
  std::string text;
  for (const std::size_t length : shape)
    text += (text.empty() ? "" : ", ") + std::to_string(length);
  return "[" + text + "]";
}

template <class T>
const T* data_of(const py::handle& object, const char* name, int num_dimensions,
                 GivenFactor& given) {
  const py::array array = dense<T>(object, name, num_dimensions);
  for (int axis = 0; axis < num_dimensions; ++axis) {
    require_in_range(array.shape(axis), name, 1, kMost);
    given.shape.push_back(static_cast<std::size_t>(array.shape(axis)));
  }
  return static_cast<const T*>(array.data());
}

GivenFactor factor_of(const py::handle& object, const char* name, int num_dimensions) {
  GivenFactor given;
  if (!py::isinstance<py::tuple>(object)) {
    given.factor.numbers = data_of<float>(object, name, num_dimensions, given);
    return given;
  }
  const auto parts = py::reinterpret_borrow<py::tuple>(object);
  if (parts.size() != 2) refuse(name, "an array, or codes and scales", object);
  const py::object codes = parts[0];
  if (py::isinstance<py::array_t<std::int16_t>>(codes)) {
    given.factor.words = data_of<std::int16_t>(codes, name, num_dimensions, given);
  } else {
    given.factor.bytes = data_of<std::int8_t>(codes, name, num_dimensions, given);
  }
  const py::object of_codes = parts[1];
  const auto scales = input<float>(of_codes, name);
  if (scales.size != 1 && scales.size != given.shape[0]) {
    throw UsageError(std::string(name) + ": " + std::to_string(scales.size) +
                     " scales; allowed is 1 or " + std::to_string(given.shape[0]));
  }
  given.factor.scales = scales.data;
  given.factor.num_scales = scales.size;
  return given;
}

void require_shape(const char* name, const GivenFactor& given,
                   const std::vector<std::size_t>& wanted) {
  if (given.shape == wanted) return;
  throw UsageError(std::string(name) + ": of shape " + text_of(given.shape) + "; allowed is " +
                   text_of(wanted));
}

struct GivenGeometry {
  GivenPair stride;
  GivenPair padding;
  GivenPair dilation;
  long long groups;
};

Geometry geometry_of(const GivenGeometry& given, std::size_t rows, std::size_t columns,
                     std::size_t num_outputs) {
  Geometry geometry;
  geometry.kernel = {rows, columns};
  geometry.stride = pair_of(given.stride, "stride", 1);
  geometry.padding = pair_of(given.padding, "padding", 0);
  geometry.dilation = pair_of(given.dilation, "dilation", 1);
  require_in_range(given.groups, "groups", 1, kMost);
  geometry.num_groups = static_cast<std::size_t>(given.groups);
  if (num_outputs % geometry.num_groups != 0) {
    throw UsageError("groups: " + std::to_string(given.groups) + " for " +
                     std::to_string(num_outputs) + " outputs; a divisor is allowed");
  }
  return geometry;
}

const float* bias_of(const py::object& object, std::size_t num_outputs) {
  if (object.is_none()) return nullptr;
  const auto bias = input<float>(object, "bias");
  if (bias.size != num_outputs) {
    throw UsageError("bias: " + std::to_string(bias.size) + " numbers; allowed is " +
                     std::to_string(num_outputs) + ", one an output");
  }
  return bias.data;
}

std::shared_ptr<const Plan> dense_convolution(const py::object& weight, const py::object& bias,
                                              const GivenPair& stride, const GivenPair& padding,
                                              const GivenPair& dilation, long long groups) {
  const GivenFactor given = factor_of(weight, "weight", 4);
  const std::size_t outputs = given.length(0);
  const Geometry geometry =
      geometry_of({stride, padding, dilation, groups}, given.length(2), given.length(3), outputs);
  return std::make_shared<const Plan>(factored::dense_plan(given.factor, bias_of(bias, outputs),
                                                           given.length(1) * geometry.num_groups,
                                                           outputs, geometry));
}

std::shared_ptr<const Plan> factored_convolution(const py::object& basis,
                                                 const py::object& coeff_in,
                                                 const py::object& coeff_out,
                                                 const py::object& bias, const GivenPair& stride,
                                                 const GivenPair& padding,
                                                 const GivenPair& dilation, long long groups) {
  const GivenFactor b = factor_of(basis, "basis", 4);
  const std::size_t bases = b.length(0);
  std::size_t outputs = bases;
  std::size_t inputs = b.length(1);
  GivenFactor u;
  GivenFactor v;
  if (!coeff_in.is_none()) {
    u = factor_of(coeff_in, "coeff_in", 3);
    inputs = u.length(1);
    require_shape("coeff_in", u, {bases, inputs, b.length(1)});
  }
  if (!coeff_out.is_none()) {
    v = factor_of(coeff_out, "coeff_out", 2);
    outputs = v.length(0);
    require_shape("coeff_out", v, {outputs, bases});
  }
  const Geometry geometry =
      geometry_of({stride, padding, dilation, groups}, b.length(2), b.length(3), outputs);
  const factored::Factors factors{b.factor, coeff_in.is_none() ? nullptr : &u.factor,
                                  coeff_out.is_none() ? nullptr : &v.factor, bases, b.length(1)};
  return std::make_shared<const Plan>(factored::factored_plan(
      factors, bias_of(bias, outputs), inputs * geometry.num_groups, outputs, geometry));
}

using Dimensions = std::tuple<long long, long long, long long>;

std::unique_ptr<LayerTable> layer_table(const std::vector<Dimensions>& inputs) {
  if (inputs.empty()) throw UsageError("inputs: none given; allowed are one or more");
  std::vector<ImageShape> shapes;
  for (const auto& [height, width, channels] : inputs) {
    for (const long long length : {height, width, channels}) {
      require_in_range(length, "inputs", 1, kMost);
    }
    shapes.push_back({static_cast<std::size_t>(height), static_cast<std::size_t>(width),
                      static_cast<std::size_t>(channels)});
    checked_product("inputs", {shapes.back().height, shapes.back().width, shapes.back().channels});
  }
  return std::make_unique<LayerTable>(shapes);
}

LayerTable::Value value_of(const LayerTable& table, long long value, const char* name) {
  require_in_range(value, name, 0, static_cast<long long>(table.num_values()) - 1);
  return static_cast<LayerTable::Value>(value);
}

factored::Bounds bounds_of(float low, float high) {
  if (low <= high) return {low, high};
  throw UsageError("low: " + std::to_string(low) + "; allowed is at most high, " +
                   std::to_string(high));
}

std::size_t convolution_step(LayerTable& table, std::shared_ptr<Plan> plan, long long x,
                             std::optional<long long> residual, float low, float high) {
  if (plan == nullptr) throw UsageError("packed: None given; allowed is a PackedConvolution");
  LayerTable::Value other = 0;
  if (residual) other = value_of(table, *residual, "residual");
  return table.convolution(std::move(plan), value_of(table, x, "x"), residual ? &other : nullptr,
                           bounds_of(low, high));
}

PoolGeometry pool_of(const GivenPair& kernel, const GivenPair& stride, const GivenPair& padding) {
  const PoolGeometry geometry{pair_of(kernel, "kernel", 1), pair_of(stride, "stride", 1),
                              pair_of(padding, "padding", 0)};
  // Each window has a number of the image.
  if (2 * geometry.padding.rows > geometry.kernel.rows ||
      2 * geometry.padding.columns > geometry.kernel.columns) {
    throw UsageError("padding: " + std::to_string(geometry.padding.rows) + ", " +
                     std::to_string(geometry.padding.columns) +
                     "; allowed is at most half of the kernel");
  }
  return geometry;
}

std::size_t concatenate_step(LayerTable& table, const std::vector<long long>& values) {
  std::vector<LayerTable::Value> checked;
  for (const long long value : values) checked.push_back(value_of(table, value, "values"));
  return table.concatenate(checked);
}

// The array behind `object`, of images of a shape; `num_images` is set by the first one.
py::array images_of(const py::handle& object, const char* name, const ImageShape& shape,
                    std::optional<std::size_t>& num_images) {
  py::array array = dense<float>(object, name, 4);
  const auto length = [&](int axis) { return static_cast<std::size_t>(array.shape(axis)); };
  if (!num_images) num_images = length(0);
  if (length(0) != *num_images || length(1) != shape.height || length(2) != shape.width ||
      length(3) != shape.channels) {
    refuse(name,
           "an array of shape (" + std::to_string(*num_images) + ", " +
               std::to_string(shape.height) + ", " + std::to_string(shape.width) + ", " +
               std::to_string(shape.channels) + ")",
           object);
  }
  return array;
}

void require_count(const char* name, std::size_t count, std::size_t wanted) {
  if (count == wanted) return;
  throw UsageError(std::string(name) + ": " + std::to_string(count) + " arrays; allowed is " +
                   std::to_string(wanted));
}

const factored::Unit& unit_of(std::string_view precision, std::string_view variant) {
  if (precision == "float32") return factored::unit_of(variant);
  if (precision == "bfloat16") return factored_bf16::unit_of(variant);
  throw UsageError("precision: '" + std::string(precision) + "'; allowed are float32 and bfloat16");
}

void run_layers(const LayerTable& table, const std::vector<py::object>& inputs,
                const std::vector<long long>& values, const std::vector<py::object>& outputs,
                std::string_view precision, std::optional<int> images_at_once,
                std::optional<std::string_view> variant, std::optional<int> num_threads) {
  const Run run = run_of(variant, num_threads);
  const factored::Unit& unit = unit_of(precision, run.variant);
  if (images_at_once) require_in_range(*images_at_once, "images_at_once", 1, 1 << 20);
  require_count("inputs", inputs.size(), table.num_inputs());
  require_count("outputs", outputs.size(), values.size());
  LayerTable::Call call{};
  call.images_at_once = static_cast<std::size_t>(images_at_once.value_or(2));
  Memory memory;
  std::optional<std::size_t> num_images;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const py::array array = images_of(inputs[i], "inputs", table.shape(i), num_images);
    memory.add("inputs", array.data(), static_cast<std::size_t>(array.nbytes()), false);
    call.inputs.push_back(static_cast<const float*>(array.data()));
  }
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    require_in_range(values[i], "values", static_cast<long long>(table.num_inputs()),
                     static_cast<long long>(table.num_values()) - 1);
    const auto value = static_cast<LayerTable::Value>(values[i]);
    for (const LayerTable::Value other : call.values) {
      if (other == value) {
        throw UsageError("values: " + std::to_string(value) + " twice; allowed is once");
      }
    }
    py::array array = images_of(outputs[i], "outputs", table.shape(value), num_images);
    if (!array.writeable()) refuse("outputs", "a writeable array", outputs[i]);
    memory.add("outputs", array.data(), static_cast<std::size_t>(array.nbytes()), true);
    call.values.push_back(value);
    call.outputs.push_back(static_cast<float*>(array.mutable_data()));
  }
  call.num_images = num_images.value_or(0);
  const py::gil_scoped_release released;
  table.run(call, unit, run.num_threads);
}

}  // namespace

void register_factored(py::module_& module) {
  list_variants(module, "factored", factored::variants());
  list_variants(module, "factored_bf16", factored_bf16::variants());
  py::class_<Plan, std::shared_ptr<Plan>>(module, "PackedConvolution")
      .def_static("dense", &dense_convolution, py::arg("weight"), py::arg("bias"),
                  py::arg("stride").noconvert(), py::arg("padding").noconvert(),
                  py::arg("dilation").noconvert(), py::arg("groups").noconvert())
      .def_static("factored", &factored_convolution, py::arg("basis"), py::arg("coeff_in"),
                  py::arg("coeff_out"), py::arg("bias"), py::arg("stride").noconvert(),
                  py::arg("padding").noconvert(), py::arg("dilation").noconvert(),
                  py::arg("groups").noconvert())
      .def_readonly("num_inputs", &Plan::num_inputs)
      .def_readonly("num_outputs", &Plan::num_outputs)
      .def_property_readonly("num_bytes", &Plan::num_bytes);
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  py::class_<LayerTable>(module, "LayerTable")
      .def(py::init(&layer_table), py::arg("inputs"))
      .def("convolution", &convolution_step, py::arg("packed"), py::arg("x"),
           py::arg("residual") = py::none(), py::arg("low") = -kInfinity,
           py::arg("high") = kInfinity)
      .def(
          "max_pool",
          [](LayerTable& table, long long x, const GivenPair& kernel, const GivenPair& stride,
             const GivenPair& padding) {
            return table.max_pool(value_of(table, x, "x"), pool_of(kernel, stride, padding));
          },
          py::arg("x"), py::arg("kernel"), py::arg("stride"), py::arg("padding"))
      .def(
          "average_pool",
          [](LayerTable& table, long long x, const GivenPair& kernel, const GivenPair& stride,
             const GivenPair& padding, bool counts_padding) {
            return table.average_pool(value_of(table, x, "x"), pool_of(kernel, stride, padding),
                                      counts_padding);
          },
          py::arg("x"), py::arg("kernel"), py::arg("stride"), py::arg("padding"),
          py::arg("counts_padding"))
      .def(
          "mean",
          [](LayerTable& table, long long x) {
            const LayerTable::Value value = value_of(table, x, "x");
            const ImageShape shape = table.shape(value);
            const Pair kernel{shape.height, shape.width};
            return table.average_pool(value, {kernel, kernel, {0, 0}}, true);
          },
          py::arg("x"))
      .def(
          "add",
          [](LayerTable& table, long long x, long long y, float low, float high) {
            return table.add(value_of(table, x, "x"), value_of(table, y, "y"),
                             bounds_of(low, high));
          },
          py::arg("x"), py::arg("y"), py::arg("low") = -kInfinity, py::arg("high") = kInfinity)
      .def("concatenate", &concatenate_step, py::arg("values"))
      .def(
          "shape",
          [](const LayerTable& table, long long value) {
            const ImageShape shape = table.shape(value_of(table, value, "value"));
            return std::make_tuple(shape.height, shape.width, shape.channels);
          },
          py::arg("value"))
      .def_property_readonly("num_bytes", &LayerTable::num_bytes)
      .def_property_readonly("num_bytes_read", &LayerTable::num_bytes_read);
  module.def("run_layers", &run_layers, py::arg("table"), py::arg("inputs"), py::arg("values"),
             py::arg("outputs"), py::arg("precision"), py::arg("images_at_once").noconvert(),
             py::arg("variant"), py::arg("num_threads").noconvert());
  module.def(
      "peak_of_products",
      [](long long repeats, std::optional<std::string_view> variant) {
        require_in_range(repeats, "repeats", 0, 1LL << 40);
        const Run run = run_of(variant, std::nullopt);
        const py::gil_scoped_release released;
        return factored::peak(static_cast<std::size_t>(repeats), run);
      },
      py::arg("repeats"), py::arg("variant"));
}

}  // namespace quantlab::bindings
