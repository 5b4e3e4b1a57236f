#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "quantize_rows/quantize_rows.h"
#include "real.h"
#include "register.h"
#include "sparse_gradient_int8/sparse_gradient_int8.h"
#include "sparse_plans.h"
#include "sparse_product_int8/sparse_product_int8.h"

namespace quantlab::bindings {
namespace {

namespace py = pybind11;

// Rows of connections, each filled up to a multiple of four; see sparse_product_int8/unit.h.
struct Int8Plan {
  std::vector<std::int64_t> starts;
  std::vector<std::int32_t> offsets;
  std::vector<std::int64_t> value_starts;  // of each row's values
  std::vector<std::int32_t> order;         // of them, or none: they lie as the connections do
  std::vector<Plane> places;
  std::size_t x_step;
  std::size_t x_size;  // that it reaches
  std::size_t out_size;

  std::size_t num_rows() const { return places.size(); }
  std::size_t num_weights() const { return offsets.size(); }
};

// Rows of a plan in panels, each in one piece; `order` says where each connection was.
Plan in_one_panel(const Plan& panels, std::size_t num_rows, std::vector<std::int32_t>& order) {
  Plan rows{{0}, {}};
  for (std::size_t row = 0; row < num_rows; ++row) {
    for (std::size_t group = row; group < panels.num_groups(); group += num_rows) {
      for (std::int64_t i = panels.starts[group]; i < panels.starts[group + 1]; ++i) {
        rows.offsets.push_back(panels.offsets[static_cast<std::size_t>(i)]);
        order.push_back(static_cast<std::int32_t>(i));
      }
    }
    rows.starts.push_back(static_cast<std::int64_t>(rows.offsets.size()));
  }
  return rows;
}

void fill_up(Int8Plan& plan, const Plan& rows) {
  plan.value_starts = rows.starts;
  plan.starts.push_back(0);
  for (std::size_t row = 0; row < rows.num_groups(); ++row) {
    const std::int64_t begin = rows.starts[row];
    const std::int64_t end = rows.starts[row + 1];
    require_in_range(end - begin, "connections of a row", 0, sparse_product_int8::kMostConnections);
    for (std::int64_t i = begin; i < (end - begin + 3) / 4 * 4 + begin; ++i) {
      // What fills a row up reads where its last connection does.
      plan.offsets.push_back(rows.offsets[static_cast<std::size_t>(std::min(i, end - 1))]);
    }
    plan.starts.push_back(static_cast<std::int64_t>(plan.offsets.size()));
  }
}

std::unique_ptr<Int8Plan> plan_of_product(const ProductPlan& given) {
  auto plan = std::make_unique<Int8Plan>();
  require_in_range(static_cast<long long>(given.order.size()), "connections", 0, INT32_MAX);
  fill_up(*plan, in_one_panel(given.rows, given.num_rows, plan->order));
  for (std::int32_t& place : plan->order) {
    place = static_cast<std::int32_t>(given.order[static_cast<std::size_t>(place)]);
  }
  const Lines lines{given.lines.count, given.lines.length, given.out_line};
  for (std::size_t row = 0; row < given.num_rows; ++row) {
    plan->places.push_back({row * given.out_row, lines});
  }
  plan->x_step = given.lines.step;
  plan->x_size = given.x_size;
  plan->out_size = given.out_size;
  return plan;
}

std::unique_ptr<Int8Plan> plan_of_gradient(const GradientPlan& given) {
  auto plan = std::make_unique<Int8Plan>();
  if (given.num_panels == 1) {
    fill_up(*plan, given.planes);
  } else {
    require_in_range(static_cast<long long>(given.planes.offsets.size()), "connections", 0,
                     INT32_MAX);
    fill_up(*plan, in_one_panel(given.planes, given.places.size(), plan->order));
  }
  plan->places = given.places;
  plan->x_step = given.y_step;
  plan->x_size = given.y_size;
  plan->out_size = given.x_size;
  return plan;
}

// An array of at least `size` numbers.
std::size_t size_at_least(const py::object& object, const char* name, std::size_t size) {
  const std::size_t given = size_of(object);
  if (given < size) refuse(name, "an array of at least " + std::to_string(size) + " items", object);
  return given;
}

double absmax(const py::object& numbers, std::optional<std::string_view> variant,
              std::optional<int> num_threads) {
  const Run run = run_of(variant, num_threads);
  const auto from = input<float>(numbers, "numbers");
  const py::gil_scoped_release released;
  return quantize_rows::absmax(from, run);
}

void quantize(const Int8Plan& plan, const py::object& values, const py::object& weights,
              const py::object& scales, std::optional<std::string_view> variant,
              std::optional<int> num_threads) {
  const Run run = run_of(variant, num_threads);
  Memory memory;
  quantize_rows::Task task{};
  const auto num_values = static_cast<std::size_t>(plan.value_starts.back());
  task.values = read_reals<float>(values, "values", num_values, memory);
  task.codes = written_reals<std::int8_t>(weights, "weights", plan.num_weights(), memory);
  task.scales = written_reals<float>(scales, "scales", plan.num_rows(), memory);
  if (task.codes == nullptr) refuse("weights", "an array", weights);
  if (task.scales == nullptr) refuse("scales", "an array", scales);
  task.starts = {plan.value_starts.data(), plan.value_starts.size()};
  task.order = plan.order.empty() ? nullptr : plan.order.data();
  task.codes_starts = plan.starts.data();
  const py::gil_scoped_release released;
  quantize_rows::quantize(task, run);
}

void multiply(const Int8Plan& plan, const py::object& x, const py::object& weights,
              const py::object& factors, const py::object& bias, const py::object& out,
              std::optional<std::string_view> variant, std::optional<int> num_threads) {
  const Run run = run_of(variant, num_threads);
  Memory memory;
  sparse_product_int8::Task task{};
  task.x = read_reals<std::uint8_t>(x, "x", size_at_least(x, "x", plan.x_size), memory);
  task.weights = read_reals<std::int8_t>(weights, "weights", plan.num_weights(), memory);
  task.factors = read_reals<float>(factors, "factors", plan.num_rows(), memory);
  if (!bias.is_none()) task.bias = read_reals<float>(bias, "bias", plan.num_rows(), memory);
  task.out = written_reals<float>(out, "out", size_at_least(out, "out", plan.out_size), memory);
  if (task.out == nullptr) refuse("out", "an array", out);
  task.rows = {plan.starts.data(), plan.offsets.data(), plan.num_rows()};
  task.places = plan.places.data();
  task.x_step = plan.x_step;
  const py::gil_scoped_release released;
  sparse_product_int8::multiply(task, run);
}

void go_back(const GradientPlan& plan, const py::object& x, const py::object& y, double factor,
             const py::object& gradients, std::optional<std::string_view> variant,
             std::optional<int> num_threads) {
  const Run run = run_of(variant, num_threads);
  Memory memory;
  sparse_gradient_int8::Task task{};
  task.x = read_reals<std::uint8_t>(x, "x", size_at_least(x, "x", plan.x_size), memory);
  task.y = read_reals<std::uint8_t>(y, "y", size_at_least(y, "y", plan.y_size), memory);
  float* to = written_reals<float>(gradients, "gradients", plan.planes.offsets.size(), memory);
  if (to == nullptr) refuse("gradients", "an array", gradients);
  std::vector<Plane> places;  // of each group, panel by panel
  for (std::size_t panel = 0; panel < plan.num_panels; ++panel) {
    places.insert(places.end(), plan.places.begin(), plan.places.end());
  }
  task.planes = plan.planes.connections();
  task.places = places.data();
  task.y_step = plan.y_step;
  const py::gil_scoped_release released;
  sparse_gradient_int8::multiply(task, static_cast<float>(factor), to, run);
}

}  // namespace

void register_sparse_int8(py::module_& module) {
  list_variants(module, "quantize_rows", quantize_rows::variants());
  list_variants(module, "sparse_product_int8", sparse_product_int8::variants());
  list_variants(module, "sparse_gradient_int8", sparse_gradient_int8::variants());
  py::class_<Int8Plan>(module, "Int8Plan")
      .def(py::init(&plan_of_product), py::arg("plan"))
      .def(py::init(&plan_of_gradient), py::arg("plan"))
      .def_property_readonly("num_weights", &Int8Plan::num_weights)
      .def_property_readonly("num_rows", &Int8Plan::num_rows)
      .def_readonly("x_size", &Int8Plan::x_size)
      .def_readonly("out_size", &Int8Plan::out_size);
  module.def("absmax", &absmax, py::arg("numbers"), py::arg("variant"),
             py::arg("num_threads").noconvert());
  module.def("quantize_rows", &quantize, py::arg("plan"), py::arg("values"), py::arg("weights"),
             py::arg("scales"), py::arg("variant"), py::arg("num_threads").noconvert());
  module.def("sparse_product_int8", &multiply, py::arg("plan"), py::arg("x"), py::arg("weights"),
             py::arg("factors"), py::arg("bias"), py::arg("out"), py::arg("variant"),
             py::arg("num_threads").noconvert());
  module.def("sparse_gradient_int8", &go_back, py::arg("plan"), py::arg("x"), py::arg("y"),
             py::arg("factor"), py::arg("gradients"), py::arg("variant"),
             py::arg("num_threads").noconvert());
}

}  // namespace quantlab::bindings
