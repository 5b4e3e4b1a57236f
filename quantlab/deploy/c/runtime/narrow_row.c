#include "rows.h"

void ql_narrow_row(const void* constants, size_t first, const int32_t* x, const int32_t* other,
                   int32_t* y, size_t count) {
  const ql_narrow* rule = constants;
  const int32_t low = rule->low, high = rule->high;
  const size_t step = rule->words.step, offset_step = rule->offsets.step;
  const int32_t* words = rule->words.at + first * step;
  const int32_t* offset = rule->offsets.at + first * offset_step;
  (void)other;
  for (const int32_t* end = x + count; x != end; x++, y++) {
    const int32_t word = *words;
    int32_t sum = (int32_t)((uint32_t)(word >> 5) * (uint32_t)*x + (uint32_t)*offset);
    sum >>= word & 31;
    if (sum < low) sum = low;
    if (sum > high) sum = high;
    *y = sum;
    words += step;
    offset += offset_step;
  }
}
