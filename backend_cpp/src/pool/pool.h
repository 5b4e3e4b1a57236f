#pragma once

#include <cstddef>
#include <vector>

#include "pool/unit.h"
#include "quantlab/isa.h"
#include "quantlab/run.h"

namespace quantlab::pool {

// The rows of the table that run here.
std::vector<Isa> variants();

// The largest number, or the sum, of each window of `num_images` images. Threads share the rows of
// windows.
void max(const Task& task, std::size_t num_images, const Run& run);
void sum(const Task& task, std::size_t num_images, const Run& run);

}  // namespace quantlab::pool
