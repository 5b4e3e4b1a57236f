#include <optional>
#include <string_view>
#include <vector>

#include "memory.h"
#include "pool/pool.h"
#include "register.h"

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
  std::size_t height, width, channels;
  Stretches rows, columns;
  std::size_t window;
  std::int32_t padding_code;

  std::size_t image() const { return height * width * channels; }
};

PoolWindows pool_windows(const std::tuple<long long, long long, long long>& shape,
                         const std::vector<std::pair<long long, long long>>& rows,
                         const std::vector<std::pair<long long, long long>>& columns,
                         const std::pair<long long, long long>& steps, long long window,
                         long long padding_code) {
  const auto [height, width, channels] = shape;
  for (const long long size : {height, width, channels}) {
    require_in_range(size, "shape", 1, 1LL << 40);
  }
  require_in_range(window, "window", 0, 1LL << 40);
  require_in_range(padding_code, "padding_code", INT32_MIN, INT32_MAX);
  PoolWindows windows{static_cast<std::size_t>(height),
                      static_cast<std::size_t>(width),
                      static_cast<std::size_t>(channels),
                      stretches("rows", rows, steps.first, height),
                      stretches("columns", columns, steps.second, width),
                      static_cast<std::size_t>(window),
                      static_cast<std::int32_t>(padding_code)};
  checked_product("shape", {windows.height, windows.width, windows.channels});
  // What a row of windows takes decides how many threads there are.
  checked_product("window", {windows.columns.size(), windows.channels, windows.window});
  return windows;
}

void pool_images(py::object x, const PoolWindows& windows, py::object out, bool is_sum,
                 std::optional<std::string_view> variant, std::optional<int> num_threads) {
  const Run run = run_of(variant, num_threads);
  const std::size_t num_images = size_of(x) / windows.image();
  const std::size_t made = checked_product(
      "windows", {num_images, windows.rows.size(), windows.columns.size(), windows.channels});
  Memory memory;
  pool::Task task{};
  task.x = rows_of(x, "x", num_images * windows.image(), false, memory);
  task.out = rows_of(out, "out", made, true, memory);
  const Kind wanted = is_sum ? Kind::kS32 : task.x.kind;
  if (task.out.kind != wanted) {
    refuse("out", is_sum ? "an array of int32" : "an array of x's type", out);
  }
  if (is_sum && task.x.kind == Kind::kS32) refuse("x", "an array of 8 or 16 bits", x);
  task.height = windows.height;
  task.width = windows.width;
  task.channels = windows.channels;
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
