#pragma once

#include <vector>

#include "planes_int8/unit.h"
#include "quantlab/isa.h"
#include "quantlab/run.h"

namespace quantlab::planes_int8 {

// Whether rounding may be stochastic; in a build without, it is always half to even.
#if defined(QUANTLAB_STOCHASTIC_ROUNDING_DISABLED)
constexpr bool kHasStochasticRounding = false;
#else
constexpr bool kHasStochasticRounding = true;
#endif

// The rows of the table that run here.
std::vector<Isa> variants();

// Samples to planes of codes with the batch innermost, 128 in the gaps. Threads share the numbers
// of a sample.
void lay_out(const Layout& layout, Rounding rounding, const float* samples, std::uint8_t* planes,
             const Run& run);

}  // namespace quantlab::planes_int8
