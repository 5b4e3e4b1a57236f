#include <optional>
#include <string_view>
#include <vector>

#include "pool/pool.h"
#include "register.h"
#include "rows.h"

namespace quantlab::bindings {
namespace {

namespace py = pybind11;

using Stretches = std::vector<pool::Stretch>;

// (begin, end) of each window along an axis of `size` numbers.
Stretches stretches(const char* name, const std::vector<std::pair<long long, long long>>& ends,
                    long long step, long long size) {
  Stretches found;
  require_in_range(step, "step", 1, 1 << 30);
  for (const auto& [begin, end] : ends) {
    require_in_range(begin, name, 0, size - 1);
    require_in_range(end, name, begin + 1, size);
    found.push_back({static_cast<std::size_t>(begin), static_cast<std::size_t>(end),
                     static_cast<std::size_t>(step)});
  }
  return found;
}

// Where pooling windows lie over images of one size.
struct PoolWindows {
  long long height, width, channels;
  Stretches rows, columns;
  std::size_t window;
  std::int32_t padding_code;
};

PoolWindows pool_windows(const std::tuple<long long, long long, long long>& shape,
                         const std::vector<std::pair<long long, long long>>& rows,
                         const std::vector<std::pair<long long, long long>>& columns,
                         const std::pair<long long, long long>& steps, long long window,
                         std::int32_t padding_code) {
  const auto [height, width, channels] = shape;
  for (const long long size : {height, width, channels}) {
    require_in_range(size, "shape", 1, 1LL << 40);
  }
  require_in_range(window, "window", 0, 1LL << 40);
  return {height,
          width,
          channels,
          stretches("rows", rows, steps.first, height),
          stretches("columns", columns, steps.second, width),
          static_cast<std::size_t>(window),
          padding_code};
}

void pool_images(py::object x, const PoolWindows& windows, py::object out, bool is_sum,
                 std::optional<std::string_view> variant, std::optional<int> num_threads) {
  const Run run = run_of(variant, num_threads);
  const auto channels = static_cast<std::size_t>(windows.channels);
  const auto image = static_cast<std::size_t>(windows.height * windows.width) * channels;
  const std::size_t size =
      py::isinstance<py::array>(x) ? static_cast<std::size_t>(py::len(x.attr("flat"))) : 0;
  const std::size_t num_images = size / image;
  pool::Task task{};
  task.x = rows_of(x, "x", num_images * image, false);
  const std::size_t num_windows = windows.rows.size() * windows.columns.size();
  task.out = rows_of(out, "out", num_images * num_windows * channels, true);
  const Kind wanted = is_sum ? Kind::kS32 : task.x.kind;
  if (task.out.kind != wanted) {
    refuse("out", is_sum ? "an array of int32" : "an array of x's type", out);
  }
  if (is_sum && task.x.kind == Kind::kS32) refuse("x", "an array of 8 or 16 bits", x);
  task.height = static_cast<std::size_t>(windows.height);
  task.width = static_cast<std::size_t>(windows.width);
  task.channels = channels;
  task.rows = windows.rows.data();
  task.num_rows = windows.rows.size();
  task.columns = windows.columns.data();
  task.num_columns = windows.columns.size();
  task.window = windows.window;
  task.padding_code = windows.padding_code;
  const py::gil_scoped_release released;
  if (is_sum) {
    pool::sum(task, num_images, run);
  } else {
    pool::max(task, num_images, run);
  }
}

}  // namespace

void register_pool(py::module_& module) {
  list_variants(module, "pool", pool::variants());
  py::class_<PoolWindows>(module, "PoolWindows")
      .def(py::init(&pool_windows), py::arg("shape"), py::arg("rows"), py::arg("columns"),
           py::arg("steps"), py::arg("window"), py::arg("padding_code"));
  module.def("pool", &pool_images, py::arg("x"), py::arg("windows"), py::arg("out"),
             py::arg("is_sum"), py::arg("variant"), py::arg("num_threads").noconvert());
}

}  // namespace quantlab::bindings
