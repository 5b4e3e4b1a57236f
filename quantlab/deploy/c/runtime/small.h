/* Convolutions and fully connected layers in as little code as can be, with the bytes or numbers
   that are made of their sums. */
#ifndef QL_SMALL_H
#define QL_SMALL_H

#include "ql.h"

struct ql_small;

/* How many places are made at once, so that each weight is read once for all of them. */
enum { QL_SMALL_PLACES = 4 };

/* A place of a layer. at: where its outputs begin in the result. is_first: of those that are
   pooled there. start: the number of its first sum. */
typedef struct {
  size_t at;
  int is_first;
#ifdef QL_TRACE
  size_t start;
#endif
} ql_small_place;

/* Store what is made of the sums of an output at `count` places. other: what is added to it, NULL
   for nothing. */
typedef void ql_small_put(const struct ql_small* layer, const ql_small_place* places, size_t count,
                          size_t output, const int32_t* sums, const void* other, void* to);

/* A fully connected layer is a convolution of one place, or of a column of them. Windows of
   pool_rows x pool_columns places are pooled; result_columns: of pooled places. padding: the code
   beyond the border, as a byte. step: 0 where all outputs share their constants, else 1. constants:
   of each output a multiplier and an offset, of 16 bits where is_short, or what ql_small_numbers
   takes. A byte is

   clamp((multiplier * (sum << doublings) + other_multiplier * (other << doublings) +
          offset * unit) >> (32 + shift), low, high) */
typedef struct ql_small {
  QL_TENSOR_FIELD
  QL_LEFT_OUT_FIELD
#ifdef QL_TRACE
  uint16_t made;
#endif
  const uint8_t* weights;
  ql_small_put* put;
  const void* constants;
  int32_t unit, other_multiplier;
  uint16_t channels, outputs, num_places;
  int16_t low, high;
  uint8_t shift, doublings, is_short, step;
  uint8_t padding, is_signed, is_other_signed;
  uint8_t rows, columns, result_columns;
  uint8_t kernel_rows, kernel_columns, stride_rows, stride_columns;
  uint8_t top, left, pool_rows, pool_columns;
} ql_small;

/* Bytes, pooled or not. Of what is pooled no multiplier is negative. */
ql_small_put ql_small_bytes;
/* The same with constants of each output alone, of 64 bits and with any shift: see small_exact.c.
 */
ql_small_put ql_small_exact;
/* Numbers of 32 bits, of which none exceeds them: (multiplier * sum + offset) >> shift, the offset
   of 64 bits with its low word first. */
ql_small_put ql_small_numbers;
/* The same with a shift of each output; numbers beyond 32 bits become the nearest. */
ql_small_put ql_small_exact_numbers;

/* Find a place, of those in the order of poolings. window: where its window is copied; NULL for
   nowhere. */
ql_small_place ql_small_find(const ql_small* layer, const void* input, size_t number,
                             uint8_t* window);

/* The products of a weight at all places, `step` apart, are added to their sums. */
#define QL_SMALL_ADD(weight)            \
  {                                     \
    const int32_t w = (int8_t)(weight); \
    sum0 += w * at[0];                  \
    sum1 += w * at[step];               \
    sum2 += w * at[2 * step];           \
    sum3 += w * at[3 * step];           \
  }

/* Compute a layer. scratch: of QL_SMALL_PLACES windows; NULL where each window is the place that it
   makes, and there is one place or a multiple of QL_SMALL_PLACES. */
typedef void ql_small_function(const ql_small* layer, const void* input, const void* other,
                               void* to, void* scratch);

/* Weights in pairs: see small_pairs.inc. */
ql_small_function ql_small_u8, ql_small_s8;
/* Weights in Rice codes: see small_rice.inc. */
ql_small_function ql_small_rice_u8, ql_small_rice_s8;
/* No layer: of each channel the sum over all places, of which the rest is made. */
ql_small_function ql_small_sums_u8, ql_small_sums_s8;

#endif
