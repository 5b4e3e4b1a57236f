#include <string.h>

#include "float_layer.h"

const float* ql_float_window(const ql_float_layer* layer, const float* input, size_t row,
                             size_t column, size_t count, float* window) {
  const size_t columns = layer->columns, channels = layer->channels;
  /* Before the first row or column these are larger than any. */
  size_t at_row = row * layer->stride_rows - layer->top;
  const size_t left = column * layer->stride_columns - layer->left;
  if (layer->window == 0) return input + (at_row * columns + left) * channels;
  float* to = window;
  for (size_t i = layer->kernel_rows; i > 0; i--) {
    size_t at_column = left;
    for (size_t j = layer->kernel_columns; j > 0; j--) {
      if (at_row < layer->rows && at_column < columns)
        memcpy(to, input + (at_row * columns + at_column) * channels, count * sizeof *to);
      else
        memset(to, 0, count * sizeof *to);
      to += count;
      at_column += layer->dilation_columns;
    }
    at_row += layer->dilation_rows;
  }
  return window;
}
