/* Numbers in Rice codes, as rice.h says what they are. */
#ifndef QL_RICE_CODE_H
#define QL_RICE_CODE_H

#include "ql.h"

/* The next bits, 25 at least, from the highest on. */
static inline uint32_t ql_rice_word(const uint8_t* at, uint8_t bit) {
  const uint32_t word =
      (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
  return word << bit;
}

/* How many zeros are before the highest bit that is set. */
static inline uint8_t ql_rice_zeros(uint32_t word) {
#ifdef __ARM_FEATURE_CLZ
  return (uint8_t)__builtin_clz(word);
#else
  uint8_t zeros = 0;
  for (; word >> 31 == 0; word <<= 1) zeros++;
  return zeros;
#endif
}

/* Take a number in a code of so many bits from the highest bits of a word, which has `zeros` first.
 */
static inline size_t ql_rice_take(uint32_t* word, uint8_t zeros, uint8_t num_bits) {
  const uint32_t rest = *word << zeros << 1;
  *word = rest << num_bits;
  return ((size_t)zeros << num_bits) + (size_t)(rest >> 1 >> (31 - num_bits));
}

#endif
