#pragma once

#include <cstddef>
#include <vector>

#include "quantlab/isa.h"
#include "quantlab/run.h"
#include "requantize/codes.h"

namespace quantlab::requantize {

// The rows of the table that run here.
std::vector<Isa> variants();

// Makes codes of all rows. Threads share the rows.
void requantize(Rows sums, std::size_t num_rows, std::size_t num_channels, const Codes& codes,
                const Run& run);

}  // namespace quantlab::requantize
