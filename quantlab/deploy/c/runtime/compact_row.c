#include "rows.h"

void ql_compact_row(const void* constants, size_t first, const int32_t* x, const int32_t* other,
                    int32_t* y, size_t count) {
  const ql_compact* rule = constants;
  const int32_t step = rule->step, low = rule->low, high = rule->high;
  const uint8_t doublings = rule->doublings;
  const uint32_t* word = rule->words + first;
  const int32_t* offset = rule->offsets + first;
  (void)other;
  for (const int32_t* end = x + count; x != end; x++, y++) {
    const int32_t both = (int32_t)*word++;
    const int64_t sum =
        (int64_t)*offset++ * step + (int64_t)(both >> 5) * (int32_t)((uint32_t)*x << doublings);
    int32_t code = (int32_t)(sum >> 32) >> (both & 31);
    if (code < low) code = low;
    if (code > high) code = high;
    *y = code;
  }
}
