/* Rows of numbers: neighbours in memory, some channels of one place say, as 32-bit integers while
   they are worked on. */
#ifndef QL_ROWS_H
#define QL_ROWS_H

#include "ql.h"

/* The most numbers that are worked on at once: such rows lie on the stack. */
enum { QL_ROW = 32 };

/* An array of constants, one for each number of a row, or with a step of 0 one for all. */
#define QL_CONSTANTS(type) \
  struct {                 \
    const type* at;        \
    uint8_t step;          \
  }

/* clamp((multiplier * x + other_multiplier * other + offset) >> shift, low, high); nothing is added
   where other_multiplier is NULL. */
typedef struct {
  QL_CONSTANTS(int32_t) multiplier;
  QL_CONSTANTS(int32_t) other_multiplier;
  QL_CONSTANTS(int64_t) offset;
  QL_CONSTANTS(uint8_t) shift;
  int32_t low, high;
} ql_rescale;

/* low + clamp((high word of word * (x << doublings) + offset) >> (word mod 32), 0, span). */
typedef struct {
  QL_CONSTANTS(int32_t) words;
  QL_CONSTANTS(int32_t) offsets;
  int16_t low;
  uint8_t span, doublings;
} ql_compact;

/* clamp((multiplier * x + offset * unit) >> shift, low, high), with a shift of 32 or more. Of a sum
   other_multiplier * other is added, and both inputs are doubled so often before. */
typedef struct {
  QL_CONSTANTS(int32_t) multipliers;
  QL_CONSTANTS(int32_t) offsets;
  int32_t unit, other_multiplier;
  int16_t low, high;
  uint8_t shift, doublings;
} ql_coarse;

/* clamp(((word >> 5) * x + other_multiplier * other + offset) >> (word mod 32), low, high) in 32
   bits, which hold the sum; terms may wrap around. other_multiplier: fine / 2^(fine_shift - shift),
   rounded. */
typedef struct {
  QL_CONSTANTS(int32_t) words;
  QL_CONSTANTS(int32_t) offsets;
  int32_t low, high;
  int32_t fine;
  uint8_t fine_shift;
} ql_narrow;

/* low + step * how many of its `levels` thresholds, which rise, a number reaches, whose bits are
   inverted first where `inverted` is -1. thresholds: of the type that a function has in its name,
   64 bits for ql_threshold_row; their step is 1 where each channel has its own. first_step: the
   largest power of two up to `levels`. */
typedef struct {
  QL_CONSTANTS(void) thresholds;
  QL_CONSTANTS(int8_t) inverted;
  int32_t low, step;
  uint16_t levels, first_step;
} ql_threshold;

/* table[x - lowest]. */
typedef struct {
  const int16_t* table;
  int16_t lowest;
} ql_lookup;

/* The same of bytes, signed or not. */
typedef struct {
  const uint8_t* table;
  int16_t lowest;
} ql_byte_lookup;

/* (x - left_zero) * (other - right_zero). */
typedef struct {
  int32_t left_zero, right_zero;
} ql_multiply;

/* What makes a row of a row, and of another one where there are two. first: the number of x[0]
   among those that constants are for. y may be x. */
typedef void ql_row_function(const void* constants, size_t first, const int32_t* x,
                             const int32_t* other, int32_t* y, size_t count);

/* ql_rescale_high_row: the same where all shifts are 32 or more. */
ql_row_function ql_rescale_row, ql_rescale_high_row, ql_narrow_row, ql_narrow_sum_row,
    ql_coarse_sum_row, ql_threshold_row, ql_lookup_row, ql_multiply_row;

/* What makes bytes, signed or not, of a row. */
typedef void ql_bytes_function(const void* constants, size_t first, const int32_t* x, size_t count,
                               uint8_t* to);

ql_bytes_function ql_compact_bytes, ql_coarse_bytes, ql_narrow_bytes, ql_threshold_s16_bytes,
    ql_threshold_s32_bytes, ql_lookup_bytes;

/* Numbers first, first + step, ... of a tensor. */
void ql_load_row(const void* tensor, ql_type type, size_t first, size_t step, int32_t* row,
                 size_t count);
/* Numbers first, first + 1, ... of a tensor, whose type has them. */
void ql_store_row(void* tensor, ql_type type, size_t first, const int32_t* row, size_t count);

#endif
