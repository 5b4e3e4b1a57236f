/* Vectors of Arm's Helium, where the processor has those of integers. */
#ifndef QL_VECTORS_H
#define QL_VECTORS_H

#if defined(__ARM_FEATURE_MVE) && (__ARM_FEATURE_MVE & 1) && !defined(__ARM_BIG_ENDIAN)
#include <arm_mve.h>
#include <stddef.h>

#define QL_VECTORS

/* Eight bytes at any address as eight numbers of 16 bits. */
static inline int16x8_t ql_eight_signed(const void* bytes) {
  return vldrbq_s16((const int8_t*)bytes);
}

static inline int16x8_t ql_eight_unsigned(const void* bytes) {
  return vreinterpretq_s16_u16(vldrbq_u16((const uint8_t*)bytes));
}

/* Eight numbers of 16 bits. */
static inline int16x8_t ql_eight_wide(const int16_t* numbers) { return vldrhq_s16(numbers); }

/* The first `count` of eight, and zeros. */
static inline int16x8_t ql_some_signed(const void* bytes, size_t count) {
  return vldrbq_z_s16((const int8_t*)bytes, vctp16q((uint32_t)count));
}

static inline int16x8_t ql_some_unsigned(const void* bytes, size_t count) {
  return vreinterpretq_s16_u16(vldrbq_z_u16((const uint8_t*)bytes, vctp16q((uint32_t)count)));
}

static inline int16x8_t ql_some_wide(const int16_t* numbers, size_t count) {
  return vldrhq_z_s16(numbers, vctp16q((uint32_t)count));
}

/* The lower bytes of eight numbers, with their signs. */
static inline int16x8_t ql_low_bytes(int16x8_t numbers) {
  return vmovlbq_s8(vreinterpretq_s8_s16(numbers));
}

#endif
#endif
