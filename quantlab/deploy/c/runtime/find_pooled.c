#include "made.h"

ql_part ql_find_pooled(const ql_pooling* pooling, size_t start, size_t* pooled) {
  const size_t place = start / pooling->channels;
  const size_t row = place / pooling->columns, column = place % pooling->columns;
  const size_t result_row = row / pooling->stride_rows;
  const size_t result_column = column / pooling->stride_columns;
  const size_t at_row = row % pooling->stride_rows, at_column = column % pooling->stride_columns;
  *pooled = (result_row * pooling->result_columns + result_column) * pooling->channels;
  if (result_row >= pooling->result_rows || result_column >= pooling->result_columns ||
      at_row >= pooling->kernel_rows || at_column >= pooling->kernel_columns)
    return QL_NOWHERE;
  return at_row == 0 && at_column == 0 ? QL_FIRST_OF_WINDOW : QL_IN_WINDOW;
}
