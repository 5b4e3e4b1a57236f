#include "rows.h"
#include "wide.h"

/* Inlined twice: a span of all bytes has an instruction of its own on most processors. */
static inline void make(const ql_compact* rule, int32_t span, size_t first, const int32_t* x,
                        size_t count, uint8_t* to) {
  const int32_t low = rule->low;
  const uint8_t doublings = rule->doublings;
  const size_t step = rule->words.step;
  const int32_t* words = rule->words.at + first * step;
  const size_t offset_step = rule->offsets.step;
  const int32_t* offset = rule->offsets.at + first * offset_step;
  for (const int32_t* end = x + count; x != end; x++) {
    const int32_t word = *words;
    const int32_t doubled = (int32_t)((uint32_t)*x << doublings);
    int32_t code = ql_high_word(word, doubled) + *offset;
    offset += offset_step;
    words += step;
    code >>= word & 31;
    if (code < 0) code = 0;
    if (code > span) code = span;
    *to++ = (uint8_t)(code + low);
  }
}

void ql_compact_bytes(const void* constants, size_t first, const int32_t* x, size_t count,
                      uint8_t* to) {
  const ql_compact* rule = constants;
  if (rule->span == UINT8_MAX)
    make(rule, UINT8_MAX, first, x, count, to);
  else
    make(rule, rule->span, first, x, count, to);
}
