// A convolution of real numbers whose weight is dense, or a product of factors:
//
//   W[c, i, s] = sum_r V[c, r] sum_l U[r, i, l] B[r, l, s]
//
// runs as up to three stages: 1x1 by U, each base by its kernels B, 1x1 by V. U and V may be
// absent; a dense weight, like B without U, is the middle stage alone. Groups share their bases.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "quantlab/aligned.h"

namespace quantlab::factored {

// Of rows and of columns.
struct Pair {
  std::size_t rows;
  std::size_t columns;

  bool is(std::size_t value) const { return rows == value && columns == value; }
};

// An array of weights as the caller has it: one of the pointers, and scales of codes.
struct Factor {
  const float* numbers;
  const std::int8_t* bytes;
  const std::int16_t* words;
  const float* scales;  // one, or one for each index of the first axis
  std::size_t num_scales;
};

// The weights of a stage in the order of `Codes`: numbers, or codes with their scales.
struct Packed {
  std::size_t num_blocks = 0;
  std::size_t depth = 0;
  bool has_channels = false;  // of a middle stage with each channel alone
  AlignedVector<float> numbers;
  AlignedVector<std::int8_t> bytes;
  AlignedVector<std::int16_t> words;
  AlignedVector<float> scales;

  bool is_coded() const { return numbers.empty(); }
  std::size_t size() const;
  std::size_t num_bytes() const;
};

// The stages of a group: which of the plan's parts are their weights. Groups may share parts.
struct Stages {
  std::optional<std::size_t> in;   // U
  std::size_t middle;              // B, or the dense weight
  std::optional<std::size_t> out;  // V
  AlignedVector<float> bias;       // of the last stage, in whole blocks; empty: zeros
};

// What a convolution does with its input, whatever its weight.
struct Geometry {
  Pair kernel{1, 1};
  Pair stride{1, 1};
  Pair padding{0, 0};
  Pair dilation{1, 1};
  std::size_t num_groups = 1;

  // Of outputs along rows and columns; 0 where the kernel does not fit.
  Pair outputs(Pair size) const;
  bool is_pointwise() const { return kernel.is(1) && stride.is(1) && padding.is(0); }
};

// The outputs of U for a pixel: for each kernel the bases of whole blocks, then for each the rest.
struct BaseColumns {
  std::size_t num_kernels;
  std::size_t whole;
  std::size_t rest;

  std::size_t size() const { return num_kernels * (whole + rest); }
};

BaseColumns base_columns(std::size_t num_bases, std::size_t num_kernels);

struct Plan {
  Geometry geometry;
  std::size_t num_inputs = 0;
  std::size_t num_outputs = 0;
  std::size_t num_kernels = 0;   // of U for a base; 0 without U
  std::size_t num_bases = 0;     // of a group
  std::size_t middle_width = 0;  // columns of the middle stage in whole blocks
  bool is_depthwise = false;     // the middle stage has each channel alone, and is the only one
  std::vector<Packed> parts;
  std::vector<Stages> groups;

  // Of a group as the stages see it: those of a depthwise plan are one.
  std::size_t group_inputs() const { return num_inputs / groups.size(); }
  std::size_t group_outputs() const { return num_outputs / groups.size(); }
  // Whether the middle stage has each channel alone.
  bool has_channels() const { return num_kernels > 0 || is_depthwise; }
  std::size_t num_bytes() const;
};

// weight: [num_outputs, num_inputs / groups, kernel]; bias: null or of outputs.
Plan dense_plan(const Factor& weight, const float* bias, std::size_t num_inputs,
                std::size_t num_outputs, const Geometry& geometry);

struct Factors {
  Factor basis;             // [num_bases, num_kernels or num_inputs / groups, kernel]
  const Factor* coeff_in;   // [num_bases, num_inputs / groups, num_kernels]; null: absent
  const Factor* coeff_out;  // [num_outputs, num_bases]; null: absent, num_bases is num_outputs
  std::size_t num_bases;
  std::size_t num_kernels;  // without coeff_in not looked at
};

Plan factored_plan(const Factors& factors, const float* bias, std::size_t num_inputs,
                   std::size_t num_outputs, const Geometry& geometry);

}  // namespace quantlab::factored
