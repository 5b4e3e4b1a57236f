#include "pool.h"

/* Which a window beyond the border gives. */
static int32_t least_of(ql_type type) {
  return type == QL_U8 ? 0 : type == QL_S8 ? INT8_MIN : type == QL_S16 ? INT16_MIN : INT32_MIN;
}

void ql_max_pool(const ql_pool* pool, const void* x, void* to) {
  int32_t best[QL_ROW], row[QL_ROW];
  size_t start = 0;
  for (uint16_t i = 0; i < pool->result_rows; i++) {
    for (uint16_t j = 0; j < pool->result_columns; j++, start += pool->channels) {
      for (size_t first = 0; first < pool->channels; first += QL_ROW) {
        size_t count = pool->channels - first;
        if (count > QL_ROW) count = QL_ROW;
        for (size_t c = 0; c < count; c++) best[c] = least_of((ql_type)pool->type);
        for (uint16_t k = 0; k < pool->kernel_rows; k++) {
          const int32_t at_row =
              (int32_t)i * pool->stride_rows - pool->top + k * pool->dilation_rows;
          if (at_row < 0 || at_row >= pool->rows) continue;
          for (uint16_t l = 0; l < pool->kernel_columns; l++) {
            const int32_t at_column =
                (int32_t)j * pool->stride_columns - pool->left + l * pool->dilation_columns;
            if (at_column < 0 || at_column >= pool->columns) continue;
            const size_t place =
                ((size_t)at_row * pool->columns + (size_t)at_column) * pool->channels;
            ql_load_row(x, (ql_type)pool->type, place + first, 1, row, count);
            for (size_t c = 0; c < count; c++)
              if (row[c] > best[c]) best[c] = row[c];
          }
        }
        ql_store_row(to, (ql_type)pool->type, start + first, best, count);
      }
    }
  }
}
