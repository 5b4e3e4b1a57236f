#pragma once

#include <vector>

#include "quantlab/isa.h"
#include "quantlab/run.h"
#include "sparse_gather/unit.h"

namespace quantlab::sparse_gather {

// The rows of the table that run here.
std::vector<Isa> variants();

// A linear layer's outputs; threads share rows. Each is added up in one order, whatever the number
// of threads.
void multiply(const ProductTask<float>& task, const Run& run);
// The gradients of its input and of its connections; threads share columns. As above.
void go_back(const GradientTask<float>& task, const Run& run);
// The same on the scalar path, whichever variant is asked for.
void multiply(const ProductTask<double>& task, const Run& run);
void go_back(const GradientTask<double>& task, const Run& run);

}  // namespace quantlab::sparse_gather
