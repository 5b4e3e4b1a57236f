#include <algorithm>
#include <utility>

#include "factored/plan.h"
#include "factored/unit.h"

namespace quantlab::factored {
namespace {

std::size_t whole_blocks(std::size_t columns) { return (columns + kBlock - 1) / kBlock * kBlock; }

// Where the number of a column and a depth is in a factor.
struct Place {
  std::size_t index;
  std::size_t first_axis;
};

template <class PlaceOf>
Packed packed(const Factor& factor, std::size_t num_columns, std::size_t depth,
              const PlaceOf& place) {
  Packed made;
  made.num_blocks = whole_blocks(num_columns) / kBlock;
  made.depth = depth;
  const std::size_t size = made.size();
  const auto fill = [&](const auto* from, auto& to) {
    to.assign(size, 0);
    for (std::size_t column = 0; column < num_columns; ++column) {
      auto* block = to.data() + column / kBlock * depth * kBlock + column % kBlock;
      for (std::size_t i = 0; i < depth; ++i) block[i * kBlock] = from[place(column, i).index];
    }
  };
  if (factor.numbers != nullptr) {
    fill(factor.numbers, made.numbers);
    return made;
  }
  if (factor.bytes != nullptr) {
    fill(factor.bytes, made.bytes);
  } else {
    fill(factor.words, made.words);
  }
  made.scales.assign(made.num_blocks * kBlock, 0.0f);
  for (std::size_t column = 0; column < num_columns; ++column) {
    made.scales[column] = factor.scales[factor.num_scales == 1 ? 0 : place(column, 0).first_axis];
  }
  return made;
}

// Outputs [first, first + count) of a weight [outputs, inputs, kernel], a pixel's inputs together.
Packed packed_dense(const Factor& weight, std::size_t first, std::size_t count, std::size_t inputs,
                    const Pair& kernel) {
  const std::size_t area = kernel.rows * kernel.columns;
  return packed(weight, count, area * inputs, [=](std::size_t column, std::size_t i) {
    const std::size_t output = first + column;
    return Place{(output * inputs + i % inputs) * area + i / inputs, output};
  });
}

// Bases [first, first + count); the kernels of a row of places come one after the other.
Packed packed_basis(const Factor& basis, std::size_t first, std::size_t count,
                    std::size_t num_kernels, const Pair& kernel) {
  const std::size_t area = kernel.rows * kernel.columns;
  Packed made = packed(basis, count, area * num_kernels, [=](std::size_t column, std::size_t i) {
    const std::size_t base = first + column;
    const std::size_t in_row = i % kernel.columns;
    const std::size_t number = i / kernel.columns % num_kernels;
    const std::size_t row = i / kernel.columns / num_kernels;
    return Place{(base * num_kernels + number) * area + row * kernel.columns + in_row, base};
  });
  made.has_channels = true;
  return made;
}

// Bases [first, first + count), as BaseColumns has them.
Packed packed_in(const Factor& coeff_in, std::size_t first, std::size_t count, std::size_t inputs,
                 std::size_t num_kernels) {
  const BaseColumns columns = base_columns(count, num_kernels);
  return packed(coeff_in, columns.size(), inputs, [=](std::size_t column, std::size_t i) {
    const bool is_whole = column < num_kernels * columns.whole;
    const std::size_t place = is_whole ? column : column - num_kernels * columns.whole;
    const std::size_t width = is_whole ? columns.whole : columns.rest;
    const std::size_t base = first + (is_whole ? 0 : columns.whole) + place % width;
    return Place{(base * inputs + i) * num_kernels + place / width, base};
  });
}

AlignedVector<float> bias_of(const float* bias, std::size_t first, std::size_t count) {
  if (bias == nullptr) return {};
  AlignedVector<float> whole(whole_blocks(count), 0.0f);
  std::copy_n(bias + first, count, whole.begin());
  return whole;
}

}  // namespace

BaseColumns base_columns(std::size_t num_bases, std::size_t num_kernels) {
  const std::size_t whole = num_bases / kBlock * kBlock;
  return {num_kernels, whole, num_bases - whole};
}

std::size_t Packed::size() const { return num_blocks * depth * kBlock; }

std::size_t Packed::num_bytes() const {
  return (numbers.size() + scales.size()) * sizeof(float) + bytes.size() +
         words.size() * sizeof(std::int16_t);
}

Pair Geometry::outputs(Pair size) const {
  const auto along = [](std::size_t size, std::size_t padding, std::size_t dilation,
                        std::size_t kernel, std::size_t stride) -> std::size_t {
    const std::size_t reach = dilation * (kernel - 1) + 1;
    return size + 2 * padding < reach ? 0 : (size + 2 * padding - reach) / stride + 1;
  };
  return {along(size.rows, padding.rows, dilation.rows, kernel.rows, stride.rows),
          along(size.columns, padding.columns, dilation.columns, kernel.columns, stride.columns)};
}

std::size_t Plan::num_bytes() const {
  std::size_t total = 0;
  for (const Packed& part : parts) total += part.num_bytes();
  for (const Stages& stages : groups) total += stages.bias.size() * sizeof(float);
  return total;
}

Plan dense_plan(const Factor& weight, const float* bias, std::size_t num_inputs,
                std::size_t num_outputs, const Geometry& geometry) {
  const std::size_t inputs = num_inputs / geometry.num_groups;
  const std::size_t outputs = num_outputs / geometry.num_groups;
  Plan plan;
  plan.geometry = geometry;
  plan.num_inputs = num_inputs;
  plan.num_outputs = num_outputs;
  plan.is_depthwise = geometry.num_groups > 1 && inputs == 1 && outputs == 1;
  if (plan.is_depthwise) {
    plan.middle_width = whole_blocks(num_outputs);
    plan.parts.push_back(packed_basis(weight, 0, num_outputs, 1, geometry.kernel));
    plan.groups.push_back({std::nullopt, 0, std::nullopt, bias_of(bias, 0, num_outputs)});
    return plan;
  }
  plan.middle_width = whole_blocks(outputs);
  for (std::size_t group = 0; group < geometry.num_groups; ++group) {
    const std::size_t first = group * outputs;
    plan.parts.push_back(packed_dense(weight, first, outputs, inputs, geometry.kernel));
    plan.groups.push_back({std::nullopt, group, std::nullopt, bias_of(bias, first, outputs)});
  }
  return plan;
}

Plan factored_plan(const Factors& factors, const float* bias, std::size_t num_inputs,
                   std::size_t num_outputs, const Geometry& geometry) {
  const std::size_t inputs = num_inputs / geometry.num_groups;
  const std::size_t outputs = num_outputs / geometry.num_groups;
  if (factors.coeff_in == nullptr && factors.coeff_out == nullptr) {
    return dense_plan(factors.basis, bias, num_inputs, num_outputs, geometry);
  }
  Plan plan;
  plan.geometry = geometry;
  plan.num_inputs = num_inputs;
  plan.num_outputs = num_outputs;
  plan.num_kernels = factors.coeff_in == nullptr ? 0 : factors.num_kernels;
  const bool is_shared = factors.coeff_out != nullptr;
  const std::size_t bases = is_shared ? factors.num_bases : outputs;
  plan.num_bases = bases;
  plan.middle_width = whole_blocks(bases);
  const auto add = [&](Packed part) {
    plan.parts.push_back(std::move(part));
    return plan.parts.size() - 1;
  };
  for (std::size_t group = 0; group < geometry.num_groups; ++group) {
    Stages stages;
    const std::size_t first = is_shared ? 0 : group * outputs;
    if (is_shared && group > 0) {
      stages.in = plan.groups[0].in;
      stages.middle = plan.groups[0].middle;
    } else if (factors.coeff_in != nullptr) {
      stages.in = add(packed_in(*factors.coeff_in, first, bases, inputs, factors.num_kernels));
      stages.middle =
          add(packed_basis(factors.basis, first, bases, factors.num_kernels, geometry.kernel));
    } else {
      stages.middle = add(packed_dense(factors.basis, first, bases, inputs, geometry.kernel));
    }
    if (is_shared) {
      const auto place = [=](std::size_t column, std::size_t i) {
        const std::size_t output = group * outputs + column;
        return Place{output * bases + i, output};
      };
      stages.out = add(packed(*factors.coeff_out, outputs, bases, place));
    }
    stages.bias = bias_of(bias, group * outputs, outputs);
    plan.groups.push_back(std::move(stages));
  }
  return plan;
}

}  // namespace quantlab::factored
