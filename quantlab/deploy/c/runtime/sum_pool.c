#include "pool.h"

/* Where window `number` begins along an axis, and how many steps it has. */
static int32_t begin(uint16_t number, uint16_t stride, uint16_t before, uint16_t size,
                     uint16_t results, uint16_t is_adaptive) {
  if (is_adaptive) return (int32_t)((uint32_t)number * size / results);
  return (int32_t)number * stride - before;
}

static uint16_t length(uint16_t number, uint16_t kernel, uint16_t size, uint16_t results,
                       uint16_t is_adaptive) {
  if (!is_adaptive) return kernel;
  const uint32_t end = ((uint32_t)(number + 1) * size + results - 1) / results;
  return (uint16_t)(end - (uint32_t)number * size / results);
}

void ql_sum_pool(const ql_pool* pool, const void* x, int32_t* sums, const ql_place* places) {
  int32_t row[QL_ROW], numbers[QL_ROW];
  const uint16_t adaptive = pool->is_adaptive;
  const size_t channels = pool->channels;
  for (uint16_t i = 0; i < pool->result_rows; i++) {
    const int32_t top =
        begin(i, pool->stride_rows, pool->top, pool->rows, pool->result_rows, adaptive);
    const uint16_t rows = length(i, pool->kernel_rows, pool->rows, pool->result_rows, adaptive);
    for (uint16_t j = 0; j < pool->result_columns; j++) {
      const size_t start = ((size_t)i * pool->result_columns + j) * channels;
      const int32_t left =
          begin(j, pool->stride_columns, pool->left, pool->columns, pool->result_columns, adaptive);
      const uint16_t columns =
          length(j, pool->kernel_columns, pool->columns, pool->result_columns, adaptive);
      for (size_t first = 0; first < channels; first += QL_ROW) {
        const size_t count = channels - first < QL_ROW ? channels - first : QL_ROW;
        for (size_t c = 0; c < count; c++) row[c] = 0;
        for (uint16_t k = 0; k < rows; k++) {
          const int32_t at_row = top + k * pool->dilation_rows;
          for (uint16_t l = 0; l < columns; l++) {
            const int32_t at_column = left + l * pool->dilation_columns;
            if (at_row < 0 || at_row >= pool->rows || at_column < 0 || at_column >= pool->columns) {
              for (size_t c = 0; c < count; c++) row[c] += pool->padding;
              continue;
            }
            const size_t place = ((size_t)at_row * pool->columns + (size_t)at_column) * channels;
            ql_load_row(x, (ql_type)pool->type, place + first, 1, numbers, count);
            for (size_t c = 0; c < count; c++) row[c] += numbers[c];
          }
        }
        ql_finish_row(&pool->finish, row, sums, places, start, first, count);
      }
    }
  }
}
