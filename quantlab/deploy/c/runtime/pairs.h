/* Two products at once, where the processor has an instruction for it. */
#ifndef QL_PAIRS_H
#define QL_PAIRS_H

#if defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP && !defined(__ARM_BIG_ENDIAN)
#include <stdint.h>
#include <string.h>

#define QL_PAIRS

/* Four bytes at any address. */
static inline uint32_t ql_word(const void* bytes) {
  uint32_t word;
  memcpy(&word, bytes, sizeof word);
  return word;
}

/* Bytes 0 and 2 as a pair of 16 bits, and bytes 1 and 3: in assembly, for compilers rotate in an
   instruction of its own. */
static inline uint32_t ql_even_unsigned(uint32_t word) {
  uint32_t pair;
  __asm__("uxtb16 %0, %1" : "=r"(pair) : "r"(word));
  return pair;
}

static inline uint32_t ql_odd_unsigned(uint32_t word) {
  uint32_t pair;
  __asm__("uxtb16 %0, %1, ror #8" : "=r"(pair) : "r"(word));
  return pair;
}

static inline uint32_t ql_even_signed(uint32_t word) {
  uint32_t pair;
  __asm__("sxtb16 %0, %1" : "=r"(pair) : "r"(word));
  return pair;
}

static inline uint32_t ql_odd_signed(uint32_t word) {
  uint32_t pair;
  __asm__("sxtb16 %0, %1, ror #8" : "=r"(pair) : "r"(word));
  return pair;
}

/* The lower halves of two pairs as one, and the upper halves. */
static inline uint32_t ql_low_halves(uint32_t lower, uint32_t upper) {
  uint32_t pair;
  __asm__("pkhbt %0, %1, %2, lsl #16" : "=r"(pair) : "r"(lower), "r"(upper));
  return pair;
}

static inline uint32_t ql_high_halves(uint32_t lower, uint32_t upper) {
  uint32_t pair;
  __asm__("pkhtb %0, %1, %2, asr #16" : "=r"(pair) : "r"(upper), "r"(lower));
  return pair;
}

/* In assembly: of the bytes of `next` the pair of 0 and 2 to `pairs`, that of 1 and 3 to `next`. */
#define QL_SPREAD_UNSIGNED "uxtb16 %[pairs], %[next]\n uxtb16 %[next], %[next], ror #8\n"
#define QL_SPREAD_SIGNED "sxtb16 %[pairs], %[next]\n sxtb16 %[next], %[next], ror #8\n"

/* Likewise of the bytes of `numbers`, to `even` and to `numbers`. */
#define QL_TAKE_EVEN_UNSIGNED "uxtb16 %[even], %[numbers]\n uxtb16 %[numbers], %[numbers], ror #8\n"
#define QL_TAKE_EVEN_SIGNED "sxtb16 %[even], %[numbers]\n sxtb16 %[numbers], %[numbers], ror #8\n"

/* sum + both products of two pairs. */
static inline int32_t ql_add_pairs(uint32_t one, uint32_t other, int32_t sum) {
  int32_t result;
  __asm__("smlad %0, %1, %2, %3" : "=r"(result) : "r"(one), "r"(other), "r"(sum));
  return result;
}

/* sum + four products of signed bytes and of what stands in two pairs. */
static inline int32_t ql_add_bytes(const int8_t* bytes, uint32_t even, uint32_t odd, int32_t sum) {
  const uint32_t word = ql_word(bytes);
  sum = ql_add_pairs(ql_even_signed(word), even, sum);
  return ql_add_pairs(ql_odd_signed(word), odd, sum);
}

#endif
#endif
