#include "float_pool.h"

/* The sum of one channel in a window; x: the channel's number of the first place. */
static float sum(const ql_float_pool* pool, ql_float_range rows, ql_float_range columns,
                 const float* x) {
  float total = 0.0f;
  for (size_t i = rows.begin; i < rows.end; i++)
    for (size_t j = columns.begin; j < columns.end; j++)
      total += x[(i * pool->columns + j) * pool->channels];
  return total;
}

void ql_float_average_pool(const ql_float_pool* pool, const float* x, float* to) {
  const float* divisor = pool->divisors;
  for (size_t i = 0; i < pool->result_rows; i++)
    for (size_t j = 0; j < pool->result_columns; j++) {
      for (size_t c = 0; c < pool->channels; c++)
        *to++ = sum(pool, pool->row_ranges[i], pool->column_ranges[j], x + c) / *divisor;
      divisor += pool->divisor_step;
    }
}
