#pragma once

#include <cstdint>
#include <vector>

#include "quantize_rows/unit.h"
#include "quantlab/isa.h"
#include "quantlab/run.h"
#include "quantlab/view.h"

namespace quantlab::quantize_rows {

struct Task {
  const float* values;
  View<const std::int64_t> starts;   // of each row's values, and the end
  const std::int32_t* order;         // of each row's values: where they are; null: as they lie
  const std::int64_t* codes_starts;  // of each row's codes; those behind its values' are 0
  std::int8_t* codes;
  float* scales;  // of each row: its largest value without sign / 127, or 1 if that is 0
};

// The rows of the table that run here.
std::vector<Isa> variants();

// The largest number without sign; NaN if there is one. Threads share numbers.
float absmax(View<const float> numbers, const Run& run);

// Codes from -127 to 127 of each row. A row with NaN or infinity has such a scale, and zeros.
// Threads share rows.
void quantize(const Task& task, const Run& run);

}  // namespace quantlab::quantize_rows
