#pragma once

#include <cstddef>
#include <vector>

#include "convolve_stages/unit.h"
#include "quantlab/isa.h"
#include "quantlab/run.h"

namespace quantlab::convolve_stages {

// The rows of the table that run here.
std::vector<Isa> variants();

// The codes made of `num_images` images; threads share images, and rows where images are few.
void convolve(const Task& task, std::size_t num_images, const Run& run);

}  // namespace quantlab::convolve_stages
