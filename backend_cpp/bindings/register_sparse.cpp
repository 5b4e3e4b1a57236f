#include <memory>
#include <optional>
#include <string_view>

#include "plan.h"
#include "real.h"
#include "register.h"
#include "sparse_gradient/sparse_gradient.h"
#include "sparse_plans.h"
#include "sparse_product/sparse_product.h"

namespace quantlab::bindings {
namespace {

namespace py = pybind11;

std::unique_ptr<ProductPlan> product_plan(const py::object& starts, const py::object& offsets,
                                          const py::object& order, long long num_panels,
                                          const GivenLines& lines,
                                          const std::pair<long long, long long>& out_steps) {
  auto plan = std::make_unique<ProductPlan>();
  plan->rows = plan_of(starts, offsets);
  require_in_range(num_panels, "num_panels", 1, 1LL << 31);
  plan->num_panels = static_cast<std::size_t>(num_panels);
  const std::size_t num_groups = plan->rows.num_groups();
  if (num_groups % plan->num_panels != 0) {
    refuse("starts", "the same number of rows in each panel", starts);
  }
  plan->num_rows = num_groups / plan->num_panels;
  const auto places = input<std::int64_t>(order, "order");
  const std::size_t num_values = plan->rows.offsets.size();
  if (places.size != num_values) {
    refuse("order", "an array of " + std::to_string(num_values) + " items", order);
  }
  for (std::size_t i = 0; i < places.size; ++i) {
    require_in_range(places.data[i], "order", 0, static_cast<long long>(num_values) - 1);
  }
  plan->order.assign(places.data, places.data + places.size);
  plan->lines = lines_of(lines);
  plan->out_line = size_from("out_steps", out_steps.first);
  plan->out_row = size_from("out_steps", out_steps.second);
  const std::size_t num_rows = plan->num_rows;
  for (std::size_t group = 0; group < num_groups; ++group) {
    plan->x_size = std::max(plan->x_size, plan->rows.reach(group, plan->lines));
  }
  const Lines& given = plan->lines;
  const bool is_apart = given.length <= plan->out_line || given.count < 2;
  const std::size_t line_end =
      given.count == 0
          ? 0
          : checked_sum("lines", {checked_product("lines", {given.count - 1, plan->out_line}),
                                  given.length});
  if (!is_apart || (num_rows > 1 && plan->out_row < line_end)) {
    throw UsageError("out_steps: rows or lines of the output share numbers; allowed are own ones");
  }
  plan->out_size =
      num_rows == 0
          ? 0
          : checked_sum("out_steps",
                        {checked_product("out_steps", {num_rows - 1, plan->out_row}), line_end});
  return plan;
}

void multiply(const ProductPlan& plan, const py::object& x, const py::object& values,
              const py::object& bias, const py::object& out,
              std::optional<std::string_view> variant, std::optional<int> num_threads) {
  const Run run = run_of(variant, num_threads);
  with_real_type(x, "x", [&](auto number, auto in_plane) {
    using Number = decltype(number);
    using Input = decltype(in_plane);
    sparse_product::Task<Number, Input> task{};
    Memory memory;
    const std::size_t x_size = size_of(x);
    if (x_size < plan.x_size) {
      refuse("x", "an array of at least " + std::to_string(plan.x_size) + " items", x);
    }
    task.x = read_reals<Input>(x, "x", x_size, memory);
    task.values = read_reals<Number>(values, "values", plan.rows.offsets.size(), memory);
    if (!bias.is_none()) {
      task.bias = read_reals<Number>(bias, "bias", plan.num_rows, memory);
    }
    task.out = written_reals<Number>(out, "out", plan.out_size, memory);
    if (task.out == nullptr) refuse("out", "an array", out);
    task.rows = plan.rows.connections();
    task.num_panels = plan.num_panels;
    task.num_rows = plan.num_rows;
    task.lines = plan.lines;
    task.out_line = plan.out_line;
    task.out_row = plan.out_row;
    const py::gil_scoped_release released;
    sparse_product::multiply(task, {plan.order.data(), plan.order.size()}, run);
  });
}

std::unique_ptr<GradientPlan> gradient_plan(const py::object& starts, const py::object& offsets,
                                            long long num_panels, const py::object& places,
                                            long long y_step) {
  auto plan = std::make_unique<GradientPlan>();
  plan->planes = plan_of(starts, offsets);
  require_in_range(num_panels, "num_panels", 1, 1LL << 31);
  plan->num_panels = static_cast<std::size_t>(num_panels);
  plan->y_step = size_from("y_step", y_step);
  const auto given = input_matrix<std::int64_t>(places, "places");
  const std::size_t num_groups = plan->planes.num_groups();
  if (given.num_rows * plan->num_panels != num_groups || given.num_columns != 4) {
    refuse("places", "an array of 4 numbers for each plane: begin, count, length, step", places);
  }
  std::size_t end = 0;
  for (std::size_t i = 0; i < given.num_rows; ++i) {
    const std::int64_t* at = given.data + 4 * i;
    const std::size_t begin = size_from("places", at[0]);
    const Lines lines = lines_of({at[1], at[2], at[3]});
    if (lines.count > 1 && lines.step < lines.length) {
      throw UsageError("places: lines share numbers; allowed are own ones");
    }
    plan->places.push_back({begin, lines});
    if (lines.count == 0 || lines.length == 0) continue;
    if (begin < end) throw UsageError("places: planes share numbers; allowed are own ones");
    end = checked_sum(
        "places", {begin, checked_product("places", {lines.count - 1, lines.step}), lines.length});
    plan->y_size =
        std::max(plan->y_size, plan->planes.reach(i, {lines.count, lines.length, plan->y_step}));
  }
  plan->x_size = end;
  return plan;
}

void go_back(const GradientPlan& plan, const py::object& x, const py::object& y,
             const py::object& values, const py::object& x_gradient, const py::object& gradients,
             std::optional<std::string_view> variant, std::optional<int> num_threads) {
  const Run run = run_of(variant, num_threads);
  with_real_type(x, "x", [&](auto number, auto in_plane) {
    using Number = decltype(number);
    using Input = decltype(in_plane);
    sparse_gradient::Task<Number, Input> task{};
    Memory memory;
    const std::size_t x_size = size_of(x);
    const std::size_t y_size = size_of(y);
    if (x_size < plan.x_size) {
      refuse("x", "an array of at least " + std::to_string(plan.x_size) + " items", x);
    }
    if (y_size < plan.y_size) {
      refuse("y", "an array of at least " + std::to_string(plan.y_size) + " items", y);
    }
    task.x = read_reals<Input>(x, "x", x_size, memory);
    task.y = read_reals<Input>(y, "y", y_size, memory);
    const std::size_t num_connections = plan.planes.offsets.size();
    task.values = read_reals<Number>(values, "values", num_connections, memory);
    task.x_gradient = written_reals<Number>(x_gradient, "x_gradient", x_size, memory);
    task.gradients = written_reals<Number>(gradients, "gradients", num_connections, memory);
    task.planes = plan.planes.connections();
    task.num_panels = plan.num_panels;
    task.num_planes = plan.places.size();
    task.places = plan.places.data();
    task.y_step = plan.y_step;
    const py::gil_scoped_release released;
    sparse_gradient::go_back(task, run);
  });
}

}  // namespace

void register_sparse(py::module_& module) {
  list_variants(module, "sparse_product", sparse_product::variants());
  list_variants(module, "sparse_gradient", sparse_gradient::variants());
  list_variants(module, "sparse_product_half", sparse_product::half_variants());
  list_variants(module, "sparse_gradient_half", sparse_gradient::half_variants());
  py::class_<ProductPlan>(module, "ProductPlan")
      .def(py::init(&product_plan), py::arg("starts"), py::arg("offsets"), py::arg("order"),
           py::arg("num_panels").noconvert(), py::arg("lines"), py::arg("out_steps"))
      .def_readonly("num_panels", &ProductPlan::num_panels)
      .def_readonly("x_size", &ProductPlan::x_size)
      .def_readonly("out_size", &ProductPlan::out_size);
  py::class_<GradientPlan>(module, "GradientPlan")
      .def(py::init(&gradient_plan), py::arg("starts"), py::arg("offsets"),
           py::arg("num_panels").noconvert(), py::arg("places"), py::arg("y_step").noconvert())
      .def_readonly("num_panels", &GradientPlan::num_panels)
      .def_readonly("x_size", &GradientPlan::x_size)
      .def_readonly("y_size", &GradientPlan::y_size);
  module.def("sparse_product", &multiply, py::arg("plan"), py::arg("x"), py::arg("values"),
             py::arg("bias"), py::arg("out"), py::arg("variant"),
             py::arg("num_threads").noconvert());
  module.def("sparse_gradient", &go_back, py::arg("plan"), py::arg("x"), py::arg("y"),
             py::arg("values"), py::arg("x_gradient"), py::arg("gradients"), py::arg("variant"),
             py::arg("num_threads").noconvert());
}

}  // namespace quantlab::bindings
