#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "factored/plan.h"
#include "factored/unit.h"
#include "quantlab/isa.h"
#include "quantlab/run.h"

namespace quantlab::factored {

// The rows of the table that run here.
std::vector<Isa> variants();

const Unit& unit_of(std::string_view variant);

// Multiplies real numbers in registers alone, on one thread; returns how many products: the roof.
std::size_t peak(std::size_t repeats, const Run& run);

// How a plan goes over images of one size: strips of rows, so that what lies between the stages
// stays in the second cache.
struct Layout {
  Pair input;
  Pair output;
  std::size_t strip;           // rows of outputs
  bool reads_input;            // the middle stage takes the input itself
  std::size_t middle_rows;     // of the middle stage's input in a strip
  std::size_t middle_columns;  // with the padding
  std::size_t middle_channels;
  std::size_t span;
  std::vector<std::size_t> spans;
  std::vector<std::size_t> rest_spans;    // of the bases behind the last whole block
  std::vector<std::size_t> part_offsets;  // of expanded codes, in the scratch
  std::size_t middle_offset;
  std::size_t bases_offset;
  std::size_t scratch;  // numbers
};

Layout layout_of(const Plan& plan, Pair input);

struct Bounds {
  float low;
  float high;
};

// Expands the plan's codes into the scratch.
void expand(const Unit& unit, const Plan& plan, const Layout& layout, float* scratch);

// Rows [begin, end) of the outputs of one image; codes are expanded already.
// out = clamp(convolution + bias + residual, bounds); residual: null or like out.
void convolve(const Unit& unit, const Plan& plan, const Layout& layout, const float* x,
              const float* residual, float* out, Bounds bounds, std::size_t begin, std::size_t end,
              float* scratch);

}  // namespace quantlab::factored
