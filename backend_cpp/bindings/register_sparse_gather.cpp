#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "real.h"
#include "register.h"
#include "sparse_gather/sparse_gather.h"
#include "sparse_plans.h"

namespace quantlab::bindings {
namespace {

namespace py = pybind11;

// A linear layer's connections, by rows and by columns; see sparse_gather/unit.h.
struct GatherPlan {
  Plan rows;
  std::vector<std::int32_t> order;
  Plan columns;
  std::size_t num_columns;

  // That of a call. Raises UsageError where there are no samples.
  sparse_gather::Shape shape(const py::object& x) const {
    const std::size_t batch = size_of(x) / num_columns;
    if (batch == 0) refuse("x", std::to_string(num_columns) + " items for each sample", x);
    return {batch, num_columns, rows.num_groups()};
  }
};

// Which plane each connection is with, of planes of so many numbers. Raises UsageError.
std::vector<std::int32_t> planes_of(const std::vector<std::int32_t>& offsets, std::size_t numbers,
                                    std::size_t num_planes) {
  std::vector<std::int32_t> planes;
  planes.reserve(offsets.size());
  for (const std::int32_t offset : offsets) {
    const std::size_t plane = static_cast<std::size_t>(offset) / numbers;
    if (plane >= num_planes || static_cast<std::size_t>(offset) % numbers != 0) {
      throw UsageError("offsets: " + std::to_string(offset) +
                       "; allowed are those of a linear layer, multiples of " +
                       std::to_string(numbers) + " below " + std::to_string(num_planes * numbers));
    }
    planes.push_back(static_cast<std::int32_t>(plane));
  }
  return planes;
}

// Rows of a product in panels, each in one piece, with their values' places.
void add_rows(GatherPlan& plan, const ProductPlan& product) {
  plan.rows.starts.push_back(0);
  for (std::size_t row = 0; row < product.num_rows; ++row) {
    for (std::size_t group = row; group < product.rows.num_groups(); group += product.num_rows) {
      const auto end = static_cast<std::size_t>(product.rows.starts[group + 1]);
      for (auto i = static_cast<std::size_t>(product.rows.starts[group]); i < end; ++i) {
        plan.rows.offsets.push_back(product.rows.offsets[i]);
        plan.order.push_back(static_cast<std::int32_t>(product.order[i]));
      }
    }
    plan.rows.starts.push_back(static_cast<std::int64_t>(plan.order.size()));
  }
}

std::unique_ptr<GatherPlan> gather_plan(const ProductPlan& product, const GradientPlan& gradient) {
  const std::size_t numbers = product.lines.length;
  require_in_range(static_cast<long long>(product.lines.count), "lines", 1, 1);
  require_in_range(static_cast<long long>(numbers), "lines", 1, INT32_MAX);
  require_in_range(static_cast<long long>(product.order.size()), "connections", 0, INT32_MAX);
  require_in_range(static_cast<long long>(gradient.places.size()), "planes", 1, INT32_MAX);
  if (gradient.planes.offsets.size() != product.order.size()) {
    throw UsageError("gradient: " + std::to_string(gradient.planes.offsets.size()) +
                     " connections; allowed are " + std::to_string(product.order.size()) +
                     ", the product's");
  }
  auto plan = std::make_unique<GatherPlan>();
  plan->num_columns = gradient.places.size();
  add_rows(*plan, product);
  plan->rows.offsets = planes_of(plan->rows.offsets, numbers, plan->num_columns);
  plan->columns = {gradient.planes.starts,
                   planes_of(gradient.planes.offsets, numbers, product.num_rows)};
  return plan;
}

void multiply(const GatherPlan& plan, const py::object& x, const py::object& values,
              const py::object& bias, const py::object& out,
              std::optional<std::string_view> variant, std::optional<int> num_threads) {
  const Run run = run_of(variant, num_threads);
  with_float_type(x, "x", [&](auto number) {
    using Number = decltype(number);
    sparse_gather::ProductTask<Number> task{};
    Memory memory;
    task.shape = plan.shape(x);
    const auto [batch, num_columns, num_rows] = task.shape;
    task.x = read_reals<Number>(x, "x", batch * num_columns, memory);
    task.values = read_reals<Number>(values, "values", plan.order.size(), memory);
    if (!bias.is_none()) task.bias = read_reals<Number>(bias, "bias", num_rows, memory);
    const std::size_t out_size = checked_product("x", {batch, num_rows});
    task.out = written_reals<Number>(out, "out", out_size, memory);
    if (task.out == nullptr) refuse("out", "an array", out);
    task.rows = plan.rows.connections();
    task.order = plan.order.data();
    const py::gil_scoped_release released;
    sparse_gather::multiply(task, run);
  });
}

void go_back(const GatherPlan& plan, const py::object& x, const py::object& y,
             const py::object& values, const py::object& x_gradient, const py::object& gradients,
             std::optional<std::string_view> variant, std::optional<int> num_threads) {
  const Run run = run_of(variant, num_threads);
  with_float_type(x, "x", [&](auto number) {
    using Number = decltype(number);
    sparse_gather::GradientTask<Number> task{};
    Memory memory;
    task.shape = plan.shape(x);
    const auto [batch, num_columns, num_rows] = task.shape;
    task.x = read_reals<Number>(x, "x", batch * num_columns, memory);
    task.y = read_reals<Number>(y, "y", checked_product("x", {batch, num_rows}), memory);
    task.values = read_reals<Number>(values, "values", plan.order.size(), memory);
    task.x_gradient = written_reals<Number>(x_gradient, "x_gradient", batch * num_columns, memory);
    task.gradients = written_reals<Number>(gradients, "gradients", plan.order.size(), memory);
    task.columns = plan.columns.connections();
    const py::gil_scoped_release released;
    sparse_gather::go_back(task, run);
  });
}

}  // namespace

void register_sparse_gather(py::module_& module) {
  list_variants(module, "sparse_gather", sparse_gather::variants());
  py::class_<GatherPlan>(module, "GatherPlan")
      .def(py::init(&gather_plan), py::arg("product"), py::arg("gradient"))
      .def_property_readonly("num_rows",
                             [](const GatherPlan& plan) { return plan.rows.num_groups(); });
  module.def("gather_product", &multiply, py::arg("plan"), py::arg("x"), py::arg("values"),
             py::arg("bias"), py::arg("out"), py::arg("variant"),
             py::arg("num_threads").noconvert());
  module.def("gather_gradient", &go_back, py::arg("plan"), py::arg("x"), py::arg("y"),
             py::arg("values"), py::arg("x_gradient"), py::arg("gradients"), py::arg("variant"),
             py::arg("num_threads").noconvert());
}

}  // namespace quantlab::bindings
