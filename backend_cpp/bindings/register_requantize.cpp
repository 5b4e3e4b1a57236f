#include <algorithm>
#include <memory>
#include <optional>
#include <string_view>

#include "quantlab/lanes/count.h"

#include "codes.h"
#include "register.h"
#include "requantize/requantize.h"

namespace quantlab::bindings {
namespace {

namespace py = pybind11;

// Zeros behind the numbers of each group up to a multiple of kLanes.
template <class T>
std::vector<T> padded(View<const T> from, std::size_t num_groups) {
  const std::size_t group = from.size / num_groups;
  const std::size_t whole = (group + kLanes - 1) / kLanes * kLanes;
  std::vector<T> to(num_groups * whole, 0);
  for (std::size_t i = 0; i < from.size; ++i) to[i / group * whole + i % group] = from.data[i];
  return to;
}

// Of each kLanes numbers those of even places first.
std::vector<std::int64_t> padded_apart(View<const std::int64_t> from, std::size_t num_groups) {
  const std::vector<std::int64_t> whole = padded(from, num_groups);
  std::vector<std::int64_t> to(whole.size());
  for (std::size_t i = 0; i < whole.size(); ++i) {
    const std::size_t within = i % kLanes;
    to[i - within + within % 2 * (kLanes / 2) + within / 2] = whole[i];
  }
  return to;
}

// What is left to shift in the upper halves; nothing if some shift is less than a half.
std::vector<std::int32_t> upper_shifts(View<const std::int64_t> shifts, std::size_t num_groups) {
  std::vector<std::int32_t> left(shifts.size);
  for (std::size_t i = 0; i < shifts.size; ++i) {
    if (shifts.data[i] < 32) return {};
    left[i] = static_cast<std::int32_t>(shifts.data[i] - 32);
  }
  return padded(View<const std::int32_t>{left.data(), left.size()}, num_groups);
}

// Whether (multiplier * sum + offset) >> shift is the sum itself, in all channels.
bool keeps_sums(View<const std::int32_t> multipliers, View<const std::int64_t> offsets,
                View<const std::int64_t> shifts) {
  for (std::size_t i = 0; i < multipliers.size; ++i) {
    const std::int64_t whole = std::int64_t{1} << shifts.data[i];
    if (multipliers.data[i] != whole || offsets.data[i] < 0 || offsets.data[i] >= whole) {
      return false;
    }
  }
  return true;
}

std::unique_ptr<CodesRule> rule_for(std::size_t num_channels, long long given_groups) {
  const auto num_groups = static_cast<std::size_t>(given_groups);
  if (num_channels == 0 || given_groups < 1 || num_channels % num_groups != 0) {
    throw UsageError("num_groups: " + std::to_string(given_groups) + " for " +
                     std::to_string(num_channels) + " channels; a divisor is allowed");
  }
  auto rule = std::make_unique<CodesRule>();
  rule->num_channels = num_channels;
  rule->num_groups = num_groups;
  return rule;
}

void require_size(const char* name, std::size_t size, std::size_t allowed) {
  if (size != allowed) {
    throw UsageError(std::string(name) + ": " + std::to_string(size) + " numbers; allowed is " +
                     std::to_string(allowed) + ", one a channel");
  }
}

std::unique_ptr<CodesRule> rescaling(py::object multiplier, py::object other_multiplier,
                                     py::object offset, py::object shift, std::int64_t low,
                                     std::int64_t high, long long given_groups) {
  const auto factors = input<std::int32_t>(multiplier, "multiplier");
  auto rule = rule_for(factors.size, given_groups);
  const std::size_t num_groups = rule->num_groups;
  const auto offsets = input<std::int64_t>(offset, "offset");
  const auto shifts = input<std::int64_t>(shift, "shift");
  require_size("offset", offsets.size, factors.size);
  require_size("shift", shifts.size, factors.size);
  for (std::size_t i = 0; i < shifts.size; ++i) require_in_range(shifts.data[i], "shift", 0, 62);
  require_in_range(low, "low", INT32_MIN, INT32_MAX);
  require_in_range(high, "high", low, INT32_MAX);
  rule->multiplier = padded(factors, num_groups);
  rule->offset = padded_apart(offsets, num_groups);
  rule->shift = padded_apart(shifts, num_groups);
  rule->upper_shift = upper_shifts(shifts, num_groups);
  rule->low = low;
  rule->high = high;
  if (!other_multiplier.is_none()) {
    const auto others = input<std::int32_t>(other_multiplier, "other_multiplier");
    require_size("other_multiplier", others.size, factors.size);
    rule->other_multiplier = padded(others, num_groups);
  } else {
    rule->is_clamp = keeps_sums(factors, offsets, shifts);
  }
  return rule;
}

std::unique_ptr<CodesRule> counting(py::object base, py::object step, py::object limits,
                                    long long given_groups) {
  const auto bases = input<std::int32_t>(base, "base");
  auto rule = rule_for(bases.size, given_groups);
  const std::size_t num_groups = rule->num_groups;
  const auto steps = input<std::int32_t>(step, "step");
  const auto rows = input_matrix<std::int32_t>(limits, "limits");
  require_size("step", steps.size, bases.size);
  require_size("limits", rows.num_columns, bases.size);
  require_in_range(static_cast<long long>(rows.num_rows), "limits", 1, 255);
  rule->base = padded(bases, num_groups);
  rule->step = padded(steps, num_groups);
  rule->num_limits = rows.num_rows;
  rule->low = INT64_MAX;
  rule->high = INT64_MIN;
  for (std::size_t i = 0; i < bases.size; ++i) {
    const std::int64_t first = bases.data[i];
    const std::int64_t last = first + steps.data[i] * static_cast<std::int64_t>(rows.num_rows);
    rule->low = std::min({rule->low, first, last});
    rule->high = std::max({rule->high, first, last});
  }
  rule->stride = rule->base.size();
  for (std::size_t row = 0; row < rows.num_rows; ++row) {
    const View<const std::int32_t> one{rows.data + row * rows.num_columns, rows.num_columns};
    const std::vector<std::int32_t> whole = padded(one, num_groups);
    rule->limits.insert(rule->limits.end(), whole.begin(), whole.end());
  }
  return rule;
}

void requantize_rows(py::object sums, const py::tuple& codes, long long given_channels,
                     std::optional<std::string_view> variant, std::optional<int> num_threads) {
  const Run run = run_of(variant, num_threads);
  require_in_range(given_channels, "num_channels", 1, 1 << 24);
  const auto num_channels = static_cast<std::size_t>(given_channels);
  const std::size_t num_rows = size_of(sums) / num_channels;
  const std::size_t size = num_rows * num_channels;
  Memory memory;
  const Rows from = rows_of(sums, "sums", size, false, memory);
  if (codes.size() != 3) refuse("codes", "a tuple (rule, other, out)", codes);
  const Codes to = codes_of(codes, size, num_channels, 1, memory);
  const py::gil_scoped_release released;
  requantize::requantize(from, num_rows, num_channels, to, run);
}

}  // namespace

void register_requantize(py::module_& module) {
  list_variants(module, "requantize", requantize::variants());
  py::class_<CodesRule>(module, "CodesRule")
      .def_static("rescaling", &rescaling, py::arg("multiplier"), py::arg("other_multiplier"),
                  py::arg("offset"), py::arg("shift"), py::arg("low"), py::arg("high"),
                  py::arg("num_groups"))
      .def_static("counting", &counting, py::arg("base"), py::arg("step"), py::arg("limits"),
                  py::arg("num_groups"))
      .def_readonly("num_channels", &CodesRule::num_channels);
  module.def("requantize", &requantize_rows, py::arg("sums"), py::arg("codes"),
             py::arg("num_channels").noconvert(), py::arg("variant"),
             py::arg("num_threads").noconvert());
}

}  // namespace quantlab::bindings
