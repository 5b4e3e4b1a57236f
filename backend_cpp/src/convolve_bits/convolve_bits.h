#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "convolve_bits/unit.h"
#include "quantlab/isa.h"
#include "quantlab/run.h"

namespace quantlab::convolve_bits {

// The rows of the table that run here.
std::vector<Isa> variants();

// The planes of `num_pixels` pixels of numbers -1, 0 and 1; others mean nothing.
void pack(const std::int8_t* x, std::size_t num_pixels, std::size_t channels, Planes planes,
          const Run& run);

// bias + the sums of weights * numbers over `num_windows` windows, and codes made of them; threads
// share windows and outputs.
void convolve(const Task& task, std::size_t num_windows, const Run& run);

}  // namespace quantlab::convolve_bits
