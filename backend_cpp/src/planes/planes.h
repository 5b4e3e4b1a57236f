#pragma once

#include <cstdint>
#include <vector>

#include "planes/unit.h"
#include "quantlab/isa.h"
#include "quantlab/run.h"

namespace quantlab::planes {

// The rows of the tables that run here: of floats, and of planes of halves.
std::vector<Isa> variants();
std::vector<Isa> half_variants();

// Samples to planes with the batch innermost, zeros in the gaps, and planes back to samples.
// Threads share the numbers of a sample. Doubles take the scalar path, whichever variant is asked
// for.
void lay_out(const Task<float>& task, const float* samples, float* planes, const Run& run);
void lay_out(const Task<double>& task, const double* samples, double* planes, const Run& run);
void lay_out(const Task<float>& task, const float* samples, Half* planes, const Run& run);
void collect(const Task<float>& task, const float* planes, float* samples, const Run& run);
void collect(const Task<double>& task, const double* planes, double* samples, const Run& run);
void collect(const Task<float>& task, const Half* planes, float* samples, const Run& run);
// Samples start + code * factor, with the batch innermost, to planes.
void decode(const Task<float>& task, const std::uint8_t* codes, float start, float* planes,
            const Run& run);
void decode(const Task<float>& task, const std::uint8_t* codes, float start, Half* planes,
            const Run& run);

}  // namespace quantlab::planes
