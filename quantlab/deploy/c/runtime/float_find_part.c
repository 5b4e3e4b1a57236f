#include "float_layer.h"

/* Leave out the steps from *begin on that lie before 0, and those of *count that lie behind `size`.
   Returns how many were left out before. */
QL_NOINLINE static size_t clip(int32_t* begin, uint16_t step, size_t* count, uint16_t size) {
  size_t first = 0;
  for (; *count > 0 && *begin < 0; *begin += step, (*count)--) first++;
  while (*count > 0 && *begin + (int32_t)(*count - 1) * step >= size) (*count)--;
  return first;
}

ql_float_part ql_float_find_part(const ql_float_layer* layer, const float* input, size_t row,
                                 size_t column) {
  int32_t top = (int32_t)row * layer->stride_rows - layer->top;
  int32_t left = (int32_t)column * layer->stride_columns - layer->left;
  ql_float_part part;
  part.rows = layer->kernel_rows;
  part.columns = layer->kernel_columns;
  part.first = clip(&top, layer->dilation_rows, &part.rows, layer->rows) * layer->kernel_columns;
  part.first += clip(&left, layer->dilation_columns, &part.columns, layer->columns);
  if (part.rows == 0 || part.columns == 0) {
    part.rows = 1;
    part.columns = 0;
    top = left = 0;
  }
  part.x = input + ((size_t)top * layer->columns + (size_t)left) * layer->channels;
  return part;
}
