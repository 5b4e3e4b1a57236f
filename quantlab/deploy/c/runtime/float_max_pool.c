#include "float_pool.h"

/* The largest number of one channel in a window; x: the channel's number of the first place. */
static float largest(const ql_float_pool* pool, ql_float_range rows, ql_float_range columns,
                     const float* x) {
  const size_t place = pool->channels;
  float best = x[((size_t)rows.begin * pool->columns + columns.begin) * place];
  for (size_t i = rows.begin; i < rows.end; i += pool->dilation_rows)
    for (size_t j = columns.begin; j < columns.end; j += pool->dilation_columns) {
      const float number = x[(i * pool->columns + j) * place];
      if (number > best) best = number;
    }
  return best;
}

void ql_float_max_pool(const ql_float_pool* pool, const float* x, float* to) {
  for (size_t i = 0; i < pool->result_rows; i++)
    for (size_t j = 0; j < pool->result_columns; j++)
      for (size_t c = 0; c < pool->channels; c++)
        *to++ = largest(pool, pool->row_ranges[i], pool->column_ranges[j], x + c);
}
