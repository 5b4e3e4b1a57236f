#include "rows.h"
#include "vectors.h"
#include "wide.h"

#ifdef QL_VECTORS
enum { FOUR = 4 };

/* Constants of four numbers; of all if they share one, which is copied. */
static const int32_t* constants_of(const int32_t* at, size_t step, size_t first, int32_t* copies) {
  if (step != 0) return at + first;
  for (size_t i = 0; i < FOUR; i++) copies[i] = *at;
  return copies;
}

static inline int32x4_t make_four(const ql_compact* rule, int32x4_t x, int32x4_t words,
                                  int32x4_t offsets) {
  const int32x4_t high = vmulhq_s32(words, vshlq_r_s32(x, rule->doublings));
  const int32x4_t shifts = vnegq_s32(vandq_s32(words, vdupq_n_s32(31)));
  const int32x4_t codes = vshlq_s32(vaddq_s32(high, offsets), shifts);
  const int32x4_t most = vdupq_n_s32(rule->span);
  return vaddq_n_s32(vminq_s32(vmaxq_s32(codes, vdupq_n_s32(0)), most), rule->low);
}

void ql_compact_bytes(const void* constants, size_t first, const int32_t* x, size_t count,
                      uint8_t* to) {
  const ql_compact rule = *(const ql_compact*)constants;
  int32_t word[FOUR], offset[FOUR];
  const size_t step = FOUR * (size_t)rule.words.step;
  const size_t offset_step = FOUR * (size_t)rule.offsets.step;
  const int32_t* words = constants_of(rule.words.at, step, first, word);
  const int32_t* offsets = constants_of(rule.offsets.at, offset_step, first, offset);
  for (; count >= FOUR; count -= FOUR, x += FOUR, to += FOUR) {
    const int32x4_t codes = make_four(&rule, vldrwq_s32(x), vldrwq_s32(words), vldrwq_s32(offsets));
    vstrbq_s32((int8_t*)to, codes);
    words += step;
    offsets += offset_step;
  }
  if (count > 0) {
    const mve_pred16_t some = vctp32q((uint32_t)count);
    const int32x4_t codes = make_four(&rule, vldrwq_z_s32(x, some), vldrwq_z_s32(words, some),
                                      vldrwq_z_s32(offsets, some));
    vstrbq_p_s32((int8_t*)to, codes, some);
  }
}
#else
/* Of numbers that have a constant each, where all codes of a byte are allowed: most processors have
   an instruction for that span. */
static void make_usual(const ql_compact* rule, size_t first, const int32_t* x, size_t count,
                       uint8_t* to) {
  const int32_t low = rule->low;
  const uint8_t doublings = rule->doublings;
  const int32_t* words = rule->words.at + first;
  const int32_t* offsets = rule->offsets.at + first;
  for (const int32_t* end = x + count; x != end; x++) {
    const int32_t word = *words++;
    const int32_t doubled = (int32_t)((uint32_t)*x << doublings);
    int32_t code = (ql_high_word(word, doubled) + *offsets++) >> (word & 31);
    if (code < 0) code = 0;
    if (code > UINT8_MAX) code = UINT8_MAX;
    *to++ = (uint8_t)(code + low);
  }
}

void ql_compact_bytes(const void* constants, size_t first, const int32_t* x, size_t count,
                      uint8_t* to) {
  const ql_compact rule = *(const ql_compact*)constants;
  if (rule.span == UINT8_MAX && rule.words.step == 1 && rule.offsets.step == 1) {
    make_usual(&rule, first, x, count, to);
    return;
  }
  const int32_t* words = rule.words.at + first * rule.words.step;
  const int32_t* offsets = rule.offsets.at + first * rule.offsets.step;
  for (const int32_t* end = x + count; x != end; x++) {
    const int32_t doubled = (int32_t)((uint32_t)*x << rule.doublings);
    int32_t code = (ql_high_word(*words, doubled) + *offsets) >> (*words & 31);
    if (code < 0) code = 0;
    if (code > rule.span) code = rule.span;
    *to++ = (uint8_t)(code + rule.low);
    words += rule.words.step;
    offsets += rule.offsets.step;
  }
}
#endif
