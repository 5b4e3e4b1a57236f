#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <string_view>
#include <type_traits>
#include <vector>

#include "planes/planes.h"
#include "planes_int8/planes_int8.h"
#include "real.h"
#include "register.h"

namespace quantlab::bindings {
namespace {

namespace py = pybind11;

// Where the numbers of a sample lie among planes, all channels alike.
struct PlaneLayout {
  std::size_t num_channels;
  std::size_t step;  // rows of the batch from one channel to the next
  std::vector<std::int64_t> places;
  std::vector<std::int64_t> gaps;

  template <class Number>
  planes::Task<Number> task(std::size_t batch, bool is_batch_innermost, double factor = 1.0) const {
    return {is_batch_innermost, batch,           num_channels * places.size(),
            places.size(),      places.data(),   step,
            gaps.data(),        gaps.size() / 2, static_cast<Number>(factor)};
  }
};

std::unique_ptr<PlaneLayout> plane_layout(long long num_channels, py::object places,
                                          long long step) {
  require_in_range(num_channels, "num_channels", 1, 1LL << 40);
  require_in_range(step, "step", 1, 1LL << 40);
  const auto from = input<std::int64_t>(places, "places");
  auto layout = std::make_unique<PlaneLayout>();
  layout->num_channels = static_cast<std::size_t>(num_channels);
  layout->step = static_cast<std::size_t>(step);
  layout->places.assign(from.data, from.data + from.size);
  checked_product("num_channels", {layout->num_channels, layout->step});
  checked_product("num_channels", {layout->num_channels, from.size});
  require_in_range(static_cast<long long>(from.size), "places", 1, 1LL << 40);
  std::vector<std::int64_t> taken;
  for (const std::int64_t place : layout->places) {
    require_in_range(place, "places", -1, step - 1);
    if (place >= 0) taken.push_back(place);
  }
  std::sort(taken.begin(), taken.end());
  std::int64_t end = 0;
  for (const std::int64_t place : taken) {
    if (place < end) throw UsageError("places: " + std::to_string(place) + " is given twice");
    if (place > end) layout->gaps.insert(layout->gaps.end(), {end, place});
    end = place + 1;
  }
  if (end < step) layout->gaps.insert(layout->gaps.end(), {end, step});
  return layout;
}

void move(const PlaneLayout& layout, const py::object& samples, const py::object& planes,
          bool is_batch_innermost, double factor, bool is_back,
          std::optional<std::string_view> variant, std::optional<int> num_threads) {
  const Run run = run_of(variant, num_threads);
  with_real_type(planes, "planes", [&](auto number, auto in_plane) {
    using Number = decltype(number);
    using InPlane = decltype(in_plane);
    const std::size_t size = layout.num_channels * layout.places.size();
    const std::size_t batch = size_of(samples) / size;
    const std::size_t laid_out =
        checked_product("samples", {batch, layout.num_channels, layout.step});
    const auto task = layout.task<Number>(batch, is_batch_innermost, factor);
    Memory memory;
    if (is_back) {
      const InPlane* from = read_reals<InPlane>(planes, "planes", laid_out, memory);
      Number* to = written_reals<Number>(samples, "samples", batch * size, memory);
      const py::gil_scoped_release released;
      planes::collect(task, from, to, run);
    } else {
      const Number* from = read_reals<Number>(samples, "samples", batch * size, memory);
      InPlane* to = written_reals<InPlane>(planes, "planes", laid_out, memory);
      const py::gil_scoped_release released;
      planes::lay_out(task, from, to, run);
    }
  });
}

// seed: of stochastic rounding; none: half to even.
void lay_out_int8(const PlaneLayout& layout, const py::object& samples, const py::object& planes,
                  double scale, bool is_batch_innermost, std::optional<std::uint64_t> seed,
                  std::optional<std::string_view> variant, std::optional<int> num_threads) {
  const Run run = run_of(variant, num_threads);
  const auto step = static_cast<float>(scale);
  if (!std::isfinite(step) || step <= 0) {
    throw UsageError("scale: " + as_text(py::float_(scale)) + "; allowed are finite ones above 0");
  }
  const std::size_t size = layout.num_channels * layout.places.size();
  const std::size_t batch = size_of(samples) / size;
  const std::size_t laid_out =
      checked_product("samples", {batch, layout.num_channels, layout.step});
  Memory memory;
  const float* from = read_reals<float>(samples, "samples", batch * size, memory);
  std::uint8_t* to = written_reals<std::uint8_t>(planes, "planes", laid_out, memory);
  if (to == nullptr) refuse("planes", "an array", planes);
  const std::uint64_t key = seed.value_or(0);
  const planes_int8::Rounding rounding{
      step,
      seed.has_value(),
      {static_cast<std::uint32_t>(key), static_cast<std::uint32_t>(key >> 32)}};
  const py::gil_scoped_release released;
  planes_int8::lay_out(layout.task<float>(batch, is_batch_innermost), rounding, from, to, run);
}

void decode(const PlaneLayout& layout, const py::object& codes, const py::object& planes,
            float start, float step, std::optional<std::string_view> variant,
            std::optional<int> num_threads) {
  const Run run = run_of(variant, num_threads);
  require_step(start, step);
  with_real_type(planes, "planes", [&](auto number, auto in_plane) {
    using InPlane = decltype(in_plane);
    if constexpr (std::is_same_v<decltype(number), float>) {
      const std::size_t size = layout.num_channels * layout.places.size();
      const std::size_t batch = size_of(codes) / size;
      const std::size_t laid_out =
          checked_product("codes", {batch, layout.num_channels, layout.step});
      Memory memory;
      const auto* from = read_reals<std::uint8_t>(codes, "codes", batch * size, memory);
      InPlane* to = written_reals<InPlane>(planes, "planes", laid_out, memory);
      const py::gil_scoped_release released;
      planes::decode(layout.task<float>(batch, true, static_cast<double>(step)), from, start, to,
                     run);
    } else {
      refuse("planes", "an array of float32 or float16", planes);
    }
  });
}

}  // namespace

void register_planes(py::module_& module) {
  list_variants(module, "planes", planes::variants());
  list_variants(module, "planes_int8", planes_int8::variants());
  list_variants(module, "planes_half", planes::half_variants());
  py::class_<PlaneLayout>(module, "PlaneLayout")
      .def(py::init(&plane_layout), py::arg("num_channels").noconvert(), py::arg("places"),
           py::arg("step").noconvert());
  const auto define = [&](const char* name, bool is_back) {
    module.def(
        name,
        [is_back](const PlaneLayout& layout, const py::object& samples, const py::object& planes,
                  bool is_batch_innermost, double factor, std::optional<std::string_view> variant,
                  std::optional<int> num_threads) {
          move(layout, samples, planes, is_batch_innermost, factor, is_back, variant, num_threads);
        },
        py::arg("layout"), py::arg("samples"), py::arg("planes"),
        py::arg("is_batch_innermost").noconvert(), py::arg("factor"), py::arg("variant"),
        py::arg("num_threads").noconvert());
  };
  define("lay_out", false);
  define("collect", true);
  module.attr("HAS_STOCHASTIC_ROUNDING") = planes_int8::kHasStochasticRounding;
  module.def("lay_out_int8", &lay_out_int8, py::arg("layout"), py::arg("samples"),
             py::arg("planes"), py::arg("scale"), py::arg("is_batch_innermost").noconvert(),
             py::arg("seed"), py::arg("variant"), py::arg("num_threads").noconvert());
  module.def("decode", &decode, py::arg("layout"), py::arg("codes"), py::arg("planes"),
             py::arg("start"), py::arg("step"), py::arg("variant"),
             py::arg("num_threads").noconvert());
}

}  // namespace quantlab::bindings
