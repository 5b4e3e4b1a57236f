#pragma once

#include <vector>

#include "quantlab/isa.h"
#include "quantlab/run.h"
#include "sparse_gradient/unit.h"

namespace quantlab::sparse_gradient {

// The rows of the tables that run here: of floats, and of those that read halves.
std::vector<Isa> variants();
std::vector<Isa> half_variants();

// The gradients of a layer's input and of its connections; threads share planes. Each number is
// added up in one order, whatever the number of threads.
void go_back(const Task<float>& task, const Run& run);
void go_back(const Task<float, Half>& task, const Run& run);
// The same on the scalar path, whichever variant is asked for.
void go_back(const Task<double>& task, const Run& run);

}  // namespace quantlab::sparse_gradient
