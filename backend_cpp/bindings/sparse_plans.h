// A sparse layer over inputs of one shape, from Python.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "plan.h"
#include "quantlab/connections.h"

namespace quantlab::bindings {

// A layer's rows; see sparse_product/unit.h.
struct ProductPlan {
  Plan rows;
  std::size_t num_panels;
  std::size_t num_rows;
  std::vector<std::int64_t> order;
  Lines lines;
  std::size_t out_line;
  std::size_t out_row;
  std::size_t x_size;  // that it reaches
  std::size_t out_size;
};

// A layer's input planes; see sparse_gradient/unit.h.
struct GradientPlan {
  Plan planes;
  std::size_t num_panels;
  std::vector<Plane> places;
  std::size_t y_step;
  std::size_t x_size;  // that it reaches
  std::size_t y_size;
};

}  // namespace quantlab::bindings
