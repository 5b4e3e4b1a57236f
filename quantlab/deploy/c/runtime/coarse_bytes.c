#include "rows.h"
#include "wide.h"

/* Inlined twice: a range of all signed bytes has an instruction of its own on most processors. */
static inline void make(const ql_coarse* rule, int32_t low, int32_t high, size_t first,
                        const int32_t* x, size_t count, uint8_t* to) {
  const size_t step = rule->multipliers.step, offset_step = rule->offsets.step;
  const int32_t* multiplier = rule->multipliers.at + first * step;
  const int32_t* offset = rule->offsets.at + first * offset_step;
  const int32_t unit = rule->unit;
  const uint8_t shift = (uint8_t)(rule->shift - 32);
  for (const int32_t* end = x + count; x != end; x++) {
    const int64_t sum = ql_wide_product(*offset, unit) + ql_wide_product(*multiplier, *x);
    int32_t code = (int32_t)(sum >> 32) >> shift;
    if (code < low) code = low;
    if (code > high) code = high;
    *to++ = (uint8_t)code;
    multiplier += step;
    offset += offset_step;
  }
}

void ql_coarse_bytes(const void* constants, size_t first, const int32_t* x, size_t count,
                     uint8_t* to) {
  const ql_coarse* rule = constants;
  if (rule->low == INT8_MIN && rule->high == INT8_MAX)
    make(rule, INT8_MIN, INT8_MAX, first, x, count, to);
  else
    make(rule, rule->low, rule->high, first, x, count, to);
}
