#pragma once

#include <cstdint>
#include <vector>

#include "quantlab/isa.h"
#include "quantlab/run.h"
#include "quantlab/view.h"

namespace quantlab::popcount {

// The rows of the table that run here.
std::vector<Isa> variants();

// counts[row] = bits set in that row; counts.size == words.num_rows. Threads share the rows.
void popcount(MatrixView<const std::uint64_t> words, View<std::int64_t> counts, const Run& run);

}  // namespace quantlab::popcount
