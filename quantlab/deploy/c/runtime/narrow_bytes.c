#include "rows.h"

/* Inlined twice: a range of all unsigned bytes has an instruction of its own on most processors. */
static inline void make(const ql_narrow* rule, int32_t low, int32_t high, size_t first,
                        const int32_t* x, size_t count, uint8_t* to) {
  const size_t step = rule->words.step, offset_step = rule->offsets.step;
  const int32_t* words = rule->words.at + first * step;
  const int32_t* offset = rule->offsets.at + first * offset_step;
  for (const int32_t* end = x + count; x != end; x++) {
    const int32_t word = *words;
    int32_t code = (int32_t)((uint32_t)(word >> 5) * (uint32_t)*x + (uint32_t)*offset);
    code >>= word & 31;
    if (code < low) code = low;
    if (code > high) code = high;
    *to++ = (uint8_t)code;
    words += step;
    offset += offset_step;
  }
}

void ql_narrow_bytes(const void* constants, size_t first, const int32_t* x, size_t count,
                     uint8_t* to) {
  const ql_narrow* rule = constants;
  if (rule->low == 0 && rule->high == UINT8_MAX)
    make(rule, 0, UINT8_MAX, first, x, count, to);
  else
    make(rule, rule->low, rule->high, first, x, count, to);
}
