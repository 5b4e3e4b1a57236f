/* Pooling of floats over windows of rows and columns. */
#ifndef QL_FLOAT_POOL_H
#define QL_FLOAT_POOL_H

#include "floats.h"

/* Where a window begins along an axis, and behind which place it ends. */
typedef struct {
  uint16_t begin, end;
} ql_float_range;

/* divisors: of sums, one a place, or with a divisor_step of 0 one for all; NULL takes the largest
   number. */
typedef struct {
  uint16_t columns, channels;
  uint16_t result_rows, result_columns;
  uint16_t dilation_rows, dilation_columns;
  const ql_float_range* row_ranges;
  const ql_float_range* column_ranges;
  const float* divisors;
  uint8_t divisor_step;
} ql_float_pool;

void ql_float_max_pool(const ql_float_pool* pool, const float* x, float* to);
void ql_float_average_pool(const ql_float_pool* pool, const float* x, float* to);

#endif
