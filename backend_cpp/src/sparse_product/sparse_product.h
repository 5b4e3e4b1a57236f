#pragma once

#include <cstdint>
#include <vector>

#include "quantlab/isa.h"
#include "quantlab/run.h"
#include "quantlab/view.h"
#include "sparse_product/unit.h"

namespace quantlab::sparse_product {

// The rows of the table that run here.
std::vector<Isa> variants();

// A layer's outputs. order: where each connection's value is in `task.values`. Threads share lines
// and rows; each output is added up in one order, whatever the number of threads.
void multiply(const Task<float>& task, View<const std::int64_t> order, const Run& run);
// The same on the scalar path, whichever variant is asked for.
void multiply(const Task<double>& task, View<const std::int64_t> order, const Run& run);

}  // namespace quantlab::sparse_product
