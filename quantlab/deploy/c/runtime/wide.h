/* Products of 64 bits, also where the processor multiplies 32 bits by 32 and keeps 32. */
#ifndef QL_WIDE_H
#define QL_WIDE_H

#include "ql.h"

#if defined(__ARM_ARCH_6M__) || defined(__ARM_ARCH_8M_BASE__) || defined(__MSP430__)
#define QL_NO_WIDE_PRODUCT
#endif

#ifdef QL_NO_WIDE_PRODUCT
/* Bits 32 to 63 of a product, of halves: H. S. Warren, Hacker's Delight, 2003, section 8-2. */
static inline int32_t ql_high_word(int32_t a, int32_t b) {
  const uint32_t a_low = (uint32_t)a & 0xFFFF, b_low = (uint32_t)b & 0xFFFF;
  const int32_t a_high = a >> 16, b_high = b >> 16;
  const int32_t middle = a_high * (int32_t)b_low + (int32_t)((a_low * b_low) >> 16);
  const int32_t other = (int32_t)a_low * b_high + (middle & 0xFFFF);
  return a_high * b_high + (middle >> 16) + (other >> 16);
}

static inline int64_t ql_wide_product(int32_t a, int32_t b) {
  const uint32_t low = (uint32_t)a * (uint32_t)b;
  return (int64_t)(((uint64_t)(uint32_t)ql_high_word(a, b) << 32) | low);
}
#else
static inline int32_t ql_high_word(int32_t a, int32_t b) {
  return (int32_t)(((int64_t)a * b) >> 32);
}

static inline int64_t ql_wide_product(int32_t a, int32_t b) { return (int64_t)a * b; }
#endif

#endif
