#include <cmath>
#include <optional>
#include <string_view>

#include "normalize/normalize.h"
#include "plan.h"
#include "real.h"
#include "register.h"

namespace quantlab::bindings {
namespace {

namespace py = pybind11;

template <class T>
T* written(const py::object& object, const char* name, std::size_t size, Memory& memory) {
  T* to = written_reals<T>(object, name, size, memory);
  if (to == nullptr) refuse(name, "an array", object);
  return to;
}

void forward(const py::object& z, const py::object& codes, const py::object& gamma,
             const py::object& beta, float eps, bool has_relu, const py::object& constants,
             std::optional<std::string_view> variant, std::optional<int> num_threads) {
  const Run run = run_of(variant, num_threads);
  Memory memory;
  const std::size_t channels = size_of(gamma);
  const std::size_t size = size_of(z);
  if (channels == 0 || size % channels != 0) {
    refuse("z", "an array of as many numbers for each of " + std::to_string(channels) + " channels",
           z);
  }
  normalize::Forward task{};
  task.z = written<float>(z, "z", size, memory);
  task.count = size / channels;
  task.constants = {read_reals<float>(gamma, "gamma", channels, memory),
                    read_reals<float>(beta, "beta", channels, memory), has_relu};
  float* to = written<float>(constants, "constants", 6 * channels, memory);
  task.kept = {written<std::uint8_t>(codes, "codes", size, memory), to, to + channels,
               to + 2 * channels, to + 3 * channels};
  task.mean = to + 4 * channels;
  task.variance = to + 5 * channels;
  const py::gil_scoped_release released;
  normalize::forward(task, eps, channels, run);
}

void backward(const py::object& gradient, const py::object& codes, const py::object& gamma,
              const py::object& beta, bool has_relu, const py::object& constants, long long begin,
              const GivenLines& lines, const py::object& sums,
              std::optional<std::string_view> variant, std::optional<int> num_threads) {
  const Run run = run_of(variant, num_threads);
  Memory memory;
  const std::size_t channels = size_of(gamma);
  const std::size_t size = size_of(gradient);
  if (channels == 0 || size % channels != 0) {
    refuse("gradient",
           "an array of as many numbers for each of " + std::to_string(channels) + " channels",
           gradient);
  }
  normalize::Backward task{};
  task.plane = size / channels;
  task.lines = lines_of(lines);
  const std::size_t first = size_from("begin", begin);
  const std::size_t count = checked_product("lines", {task.lines.count, task.lines.length});
  const std::size_t end =
      count == 0
          ? 0
          : checked_sum("lines",
                        {first, checked_product("lines", {task.lines.count - 1, task.lines.step}),
                         task.lines.length});
  if (end > task.plane || (task.lines.count > 1 && task.lines.step < task.lines.length)) {
    throw UsageError("lines: reach " + std::to_string(end) +
                     " numbers or share some; allowed are " + std::to_string(task.plane) +
                     " of each channel");
  }
  task.gradient = written<float>(gradient, "gradient", size, memory) + first;
  task.constants = {read_reals<float>(gamma, "gamma", channels, memory),
                    read_reals<float>(beta, "beta", channels, memory), has_relu};
  auto* kept = const_cast<float*>(read_reals<float>(constants, "constants", 6 * channels, memory));
  auto* bytes = const_cast<std::uint8_t*>(read_reals<std::uint8_t>(
      codes, "codes", checked_product("lines", {channels, count}), memory));
  task.kept = {bytes, kept, kept + channels, kept + 2 * channels, kept + 3 * channels};
  task.gamma_gradient = written<float>(sums, "sums", 2 * channels, memory);
  task.beta_gradient = task.gamma_gradient + channels;
  const py::gil_scoped_release released;
  normalize::backward(task, channels, run);
}

void require_step(float start, float step) {
  if (!std::isfinite(start) || !std::isfinite(step) || step <= 0.0f) {
    throw UsageError("step: " + std::to_string(step) + " from " + std::to_string(start) +
                     "; a finite number and one above zero allowed");
  }
}

void encode(const py::object& x, float start, float step, const py::object& codes,
            std::optional<std::string_view> variant, std::optional<int> num_threads) {
  const Run run = run_of(variant, num_threads);
  require_step(start, step);
  Memory memory;
  const std::size_t size = size_of(x);
  const float* from = read_reals<float>(x, "x", size, memory);
  auto* to = written<std::uint8_t>(codes, "codes", size, memory);
  const py::gil_scoped_release released;
  normalize::encode(from, size, start, step, to, run);
}

void decode(const py::object& codes, float start, float step, const py::object& x,
            std::optional<std::string_view> variant, std::optional<int> num_threads) {
  const Run run = run_of(variant, num_threads);
  require_step(start, step);
  Memory memory;
  const std::size_t size = size_of(codes);
  const auto* from = read_reals<std::uint8_t>(codes, "codes", size, memory);
  auto* to = written<float>(x, "x", size, memory);
  const py::gil_scoped_release released;
  normalize::decode(from, size, start, step, to, run);
}

}  // namespace

void register_normalize(py::module_& module) {
  list_variants(module, "normalize", normalize::variants());
  module.def("normalize", &forward, py::arg("z"), py::arg("codes"), py::arg("gamma"),
             py::arg("beta"), py::arg("eps"), py::arg("has_relu"), py::arg("constants"),
             py::arg("variant"), py::arg("num_threads").noconvert());
  module.def("normalize_back", &backward, py::arg("gradient"), py::arg("codes"), py::arg("gamma"),
             py::arg("beta"), py::arg("has_relu"), py::arg("constants"),
             py::arg("begin").noconvert(), py::arg("lines"), py::arg("sums"), py::arg("variant"),
             py::arg("num_threads").noconvert());
  module.def("encode", &encode, py::arg("x"), py::arg("start"), py::arg("step"), py::arg("codes"),
             py::arg("variant"), py::arg("num_threads").noconvert());
  module.def("decode", &decode, py::arg("codes"), py::arg("start"), py::arg("step"), py::arg("x"),
             py::arg("variant"), py::arg("num_threads").noconvert());
}

}  // namespace quantlab::bindings
