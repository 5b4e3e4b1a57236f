#pragma once

#include <vector>

#include "quantlab/isa.h"
#include "quantlab/run.h"
#include "sparse_gradient/unit.h"

namespace quantlab::sparse_gradient {

// The rows of the table that run here.
std::vector<Isa> variants();

// The gradients of a layer's input and of its connections; threads share planes. Each number is
// added up in one order, whatever the number of threads.
void go_back(const Task<float>& task, const Run& run);
// The same on the scalar path, whichever variant is asked for.
void go_back(const Task<double>& task, const Run& run);

}  // namespace quantlab::sparse_gradient
