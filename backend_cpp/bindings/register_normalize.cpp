#include <optional>
#include <string_view>

#include "normalize/normalize.h"
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

std::size_t channel_numbers(const py::object& object, const char* name, std::size_t channels) {
  const std::size_t size = size_of(object);
  if (channels == 0 || size % channels != 0) {
    refuse(name,
           "an array of as many numbers for each of " + std::to_string(channels) + " channels",
           object);
  }
  return size;
}

void forward(const py::object& z, const py::object& codes, const py::object& gamma,
             const py::object& beta, float eps, bool has_relu, const py::object& constants,
             std::optional<std::string_view> variant, std::optional<int> num_threads) {
  const Run run = run_of(variant, num_threads);
  Memory memory;
  const std::size_t channels = size_of(gamma);
  const std::size_t size = channel_numbers(z, "z", channels);
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

void backward(const py::object& y_gradient, const py::object& codes, const py::object& gamma,
              const py::object& beta, bool has_relu, const py::object& constants,
              const py::object& z_gradient, const py::object& sums,
              std::optional<std::string_view> variant, std::optional<int> num_threads) {
  const Run run = run_of(variant, num_threads);
  Memory memory;
  const std::size_t channels = size_of(gamma);
  const std::size_t size = channel_numbers(y_gradient, "y_gradient", channels);
  normalize::Backward task{};
  task.count = size / channels;
  task.z_gradient = written<float>(z_gradient, "z_gradient", size, memory);
  task.y_gradient = z_gradient.is(y_gradient)
                        ? task.z_gradient
                        : read_reals<float>(y_gradient, "y_gradient", size, memory);
  task.constants = {read_reals<float>(gamma, "gamma", channels, memory),
                    read_reals<float>(beta, "beta", channels, memory), has_relu};
  auto* kept = const_cast<float*>(read_reals<float>(constants, "constants", 6 * channels, memory));
  auto* bytes = const_cast<std::uint8_t*>(read_reals<std::uint8_t>(codes, "codes", size, memory));
  task.kept = {bytes, kept, kept + channels, kept + 2 * channels, kept + 3 * channels};
  task.gamma_gradient = written<float>(sums, "sums", 2 * channels, memory);
  task.beta_gradient = task.gamma_gradient + channels;
  const py::gil_scoped_release released;
  normalize::backward(task, channels, run);
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

}  // namespace

void register_normalize(py::module_& module) {
  list_variants(module, "normalize", normalize::variants());
  module.def("normalize", &forward, py::arg("z"), py::arg("codes"), py::arg("gamma"),
             py::arg("beta"), py::arg("eps"), py::arg("has_relu"), py::arg("constants"),
             py::arg("variant"), py::arg("num_threads").noconvert());
  module.def("normalize_back", &backward, py::arg("y_gradient"), py::arg("codes"), py::arg("gamma"),
             py::arg("beta"), py::arg("has_relu"), py::arg("constants"), py::arg("z_gradient"),
             py::arg("sums"), py::arg("variant"), py::arg("num_threads").noconvert());
  module.def("encode", &encode, py::arg("x"), py::arg("start"), py::arg("step"), py::arg("codes"),
             py::arg("variant"), py::arg("num_threads").noconvert());
}

}  // namespace quantlab::bindings
