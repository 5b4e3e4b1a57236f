// What a kernel makes of its sums, as Python gives it.
#pragma once

#include <pybind11/pybind11.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "memory.h"
#include "requantize/results.h"

namespace quantlab::bindings {

// The constants behind `Codes`, padded to whole vectors; see requantize/codes.h.
struct CodesRule {
  std::size_t num_channels = 0;
  std::size_t num_groups = 1;
  std::vector<std::int32_t> multiplier, other_multiplier, upper_shift, base, step, limits;
  std::vector<std::int64_t> offset, shift;
  std::int64_t low = 0;  // of the codes, of either kind of rule
  std::int64_t high = 0;
  bool is_clamp = false;
  std::size_t num_limits = 0;
  std::size_t stride = 0;
};

// A rule with its arrays, `(rule, other or None, out)`, for `size` sums; a fourth item is dealt
// with by ResultArrays.
inline Codes codes_of(const py::tuple& given, std::size_t size, std::size_t num_channels,
                      std::size_t num_groups, Memory& memory) {
  if (given.size() != 3 && given.size() != 4) {
    refuse("codes", "tuples (rule, other, out) or (rule, other, out, source)", given);
  }
  if (!py::isinstance<CodesRule>(given[0])) refuse("codes", "a CodesRule first", given[0]);
  const CodesRule& rule = *given[0].cast<const CodesRule*>();
  if (rule.num_channels != num_channels || rule.num_groups != num_groups) {
    throw UsageError("codes: a rule for " + std::to_string(rule.num_channels) + " channels in " +
                     std::to_string(rule.num_groups) + " groups; allowed is " +
                     std::to_string(num_channels) + " in " + std::to_string(num_groups));
  }
  const bool has_other = !rule.other_multiplier.empty();
  if (has_other == given[1].is_none()) {
    refuse("other", has_other ? "an array" : "None, for this rule has one multiplier", given[1]);
  }
  Codes codes{};
  codes.multiplier = rule.multiplier.data();
  codes.other_multiplier = rule.other_multiplier.data();
  codes.offset = rule.offset.data();
  codes.shift = rule.shift.data();
  codes.upper_shift = rule.upper_shift.empty() ? nullptr : rule.upper_shift.data();
  codes.low = rule.low;
  codes.high = rule.high;
  codes.is_clamp = rule.is_clamp;
  codes.base = rule.base.data();
  codes.step = rule.step.data();
  codes.limits = rule.limits.data();
  codes.num_limits = rule.num_limits;
  codes.stride = rule.stride;
  if (has_other) codes.other = rows_of(given[1], "other", size, false, memory);
  codes.out = rows_of(given[2], "out", size, true, memory);
  if (!holds(codes.out.kind, rule.low, rule.high)) {
    refuse(
        "out",
        "a type that holds codes of " + std::to_string(rule.low) + ".." + std::to_string(rule.high),
        given[2]);
  }
  return codes;
}

// The arrays for what a product leaves behind.
class ResultArrays {
 public:
  ResultArrays(const py::object& sums, const std::vector<py::tuple>& codes, std::size_t num_rows,
               std::size_t num_channels, std::size_t num_groups, Memory& memory) {
    const std::size_t size = checked_product("windows", {num_rows, num_channels});
    if (!sums.is_none()) {
      const Rows to = rows_of(sums, "sums", size, true, memory);
      if (to.kind != Kind::kS32) refuse("sums", "an array of int32", sums);
      sums_ = static_cast<std::int32_t*>(to.data);
    }
    for (const py::tuple& one : codes) {
      Codes made = codes_of(one, size, num_channels, num_groups, memory);
      if (one.size() == 4) {  // the place of codes before these, of which they are made
        const auto last = static_cast<long long>(codes_.size()) - 1;
        const auto source = one[3].cast<long long>();
        require_in_range(source, "source", 0, last);
        made.source = codes_[static_cast<std::size_t>(source)].out;
      }
      codes_.push_back(made);
    }
  }

  Results results() const { return {sums_, codes_.data(), codes_.size()}; }

 private:
  std::int32_t* sums_ = nullptr;
  std::vector<Codes> codes_;
};

}  // namespace quantlab::bindings
