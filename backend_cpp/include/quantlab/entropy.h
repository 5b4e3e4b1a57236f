// Codes of few bits to and from a short stream of bytes: an adaptive binary arithmetic coder.
//
// A code is coded bit by bit, the highest first; each node of that tree has models that learn the
// probability of its next bit. Of several models the one whose logistic mixture of probabilities is
// learned too (M. Mahoney, Adaptive weighing of context models for lossless data compression,
// 2005): of all codes, of the row's, of the column's, and of those with neighbors of such sizes.
// All is integer arithmetic: the same bytes everywhere.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "quantlab/view.h"

namespace quantlab::entropy {

enum class Models { kOne, kMixed };

// num_bits in 1..8; no code needs more bits, or UsageError names the first that does.
std::vector<std::uint8_t> encode(MatrixView<const std::uint8_t> codes, int num_bits, Models models);

// The inverse. Any bytes are safe; UsageError for those that `encode` did not write.
void decode(View<const std::uint8_t> bytes, int num_bits, Models models,
            MatrixView<std::uint8_t> codes);

}  // namespace quantlab::entropy
