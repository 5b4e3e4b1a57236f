#pragma once

#include <cstddef>
#include <vector>

#include "convolve/unit.h"
#include "quantlab/isa.h"
#include "quantlab/run.h"

namespace quantlab::convolve {

// The rows of the table that run here.
std::vector<Isa> variants();

// bias + the sums of weights * numbers over `num_windows` windows, and codes made of them; threads
// share windows and outputs.
void convolve(const Task& task, std::size_t num_windows, const Run& run);

// Multiplies bytes in registers alone, on one thread; returns how many products: the roof.
std::size_t peak(std::size_t repeats, const Run& run);

}  // namespace quantlab::convolve
