#pragma once

#include <cstdint>
#include <vector>

#include "quantlab/isa.h"
#include "quantlab/run.h"
#include "quantlab/view.h"
#include "sparse_product/unit.h"

namespace quantlab::sparse_product {

// The rows of the tables that run here: of floats, and of those that read halves.
std::vector<Isa> variants();
std::vector<Isa> half_variants();

// A layer's outputs. order: where each connection's value is in `task.values`. Threads share lines
// and rows; each output is added up in one order, whatever the number of threads.
void multiply(const Task<float>& task, View<const std::int64_t> order, const Run& run);
void multiply(const Task<float, Half>& task, View<const std::int64_t> order, const Run& run);
// The same on the scalar path, whichever variant is asked for.
void multiply(const Task<double>& task, View<const std::int64_t> order, const Run& run);

}  // namespace quantlab::sparse_product
