#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "normalize/unit.h"
#include "quantlab/isa.h"
#include "quantlab/run.h"

namespace quantlab::normalize {

// The rows of the table that run here.
std::vector<Isa> variants();

// A batch norm over channels, which threads share; see unit.h.
void forward(const Forward& task, float eps, std::size_t num_channels, const Run& run);
void backward(const Backward& task, std::size_t num_channels, const Run& run);

// Numbers start + code * step in eight bits.
void encode(const float* x, std::size_t count, float start, float step, std::uint8_t* codes,
            const Run& run);

}  // namespace quantlab::normalize
