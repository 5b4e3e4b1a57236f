#include "rows.h"

void ql_narrow_sum_row(const void* constants, size_t first, const int32_t* x, const int32_t* other,
                       int32_t* y, size_t count) {
  const ql_narrow* rule = constants;
  const int32_t low = rule->low, high = rule->high, fine = rule->fine;
  const int32_t fine_shift = rule->fine_shift;
  const size_t step = rule->words.step, offset_step = rule->offsets.step;
  const int32_t* words = rule->words.at + first * step;
  const int32_t* offset = rule->offsets.at + first * offset_step;
  for (const int32_t* end = x + count; x != end; x++, y++) {
    const int32_t word = *words, shift = word & 31;
    const int32_t coarser = fine_shift - shift;
    const int32_t other_multiplier = (fine + ((INT32_C(1) << coarser) >> 1)) >> coarser;
    uint32_t wrapped = (uint32_t)(word >> 5) * (uint32_t)*x + (uint32_t)*offset;
    wrapped += (uint32_t)other_multiplier * (uint32_t)*other++;
    int32_t sum = (int32_t)wrapped >> shift;
    if (sum < low) sum = low;
    if (sum > high) sum = high;
    *y = sum;
    words += step;
    offset += offset_step;
  }
}
