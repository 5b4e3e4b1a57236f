#pragma once

#include <vector>

#include "quantlab/isa.h"
#include "quantlab/run.h"
#include "sparse_gradient_int8/unit.h"

namespace quantlab::sparse_gradient_int8 {

// The rows of the table that run here.
std::vector<Isa> variants();

// gradients, of each connection: factor times its sum. Threads share planes; sums are exact, in 64
// bits, so their order does not matter.
void multiply(const Task& task, float factor, float* gradients, const Run& run);

}  // namespace quantlab::sparse_gradient_int8
