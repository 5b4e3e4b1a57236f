#pragma once

#include <vector>

#include "quantlab/isa.h"
#include "quantlab/run.h"
#include "sparse_product_int8/unit.h"

namespace quantlab::sparse_product_int8 {

// A row of more connections might not fit 32 bits: 127 * 127 for each.
constexpr std::int64_t kMostConnections = INT32_MAX / (127 * 127);

// The rows of the table that run here.
std::vector<Isa> variants();

// Products of quantized planes and weights; `task.starts` is made here. Threads share lines and
// rows; sums are exact, so their order does not matter.
void multiply(Task task, const Run& run);

}  // namespace quantlab::sparse_product_int8
