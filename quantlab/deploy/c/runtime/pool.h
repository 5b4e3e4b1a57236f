/* Pooling over windows of rows and columns. */
#ifndef QL_POOL_H
#define QL_POOL_H

#include "made.h"

/* Sums take `padding` for what lies beyond the border, the largest number leaves it out. Adaptive
   windows begin at floor(i rows / result_rows) and end before ceil((i + 1) rows / result_rows). */
typedef struct {
  uint16_t rows, columns, channels;
  uint16_t result_rows, result_columns;
  uint16_t kernel_rows, kernel_columns;
  uint16_t stride_rows, stride_columns;
  uint16_t dilation_rows, dilation_columns;
  uint16_t top, left;
  uint8_t type;
  uint8_t is_adaptive;
  int32_t padding;
  ql_finish finish;
} ql_pool;

/* The largest number of each window, in the type of the input. */
void ql_max_pool(const ql_pool* pool, const void* x, void* to);
/* The sum of each window, and what is made of it. sums: NULL where nothing reads them. */
void ql_sum_pool(const ql_pool* pool, const void* x, int32_t* sums, const ql_place* places);

#endif
