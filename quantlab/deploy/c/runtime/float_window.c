#include <string.h>

#include "float_layer.h"

const float* ql_float_window(const ql_float_layer* layer, const float* input, size_t row,
                             size_t column, size_t count, float* window) {
  const size_t columns = layer->columns, channels = layer->channels;
  /* Before the first row or column these are larger than any. */
  const size_t top = row * layer->stride_rows - layer->top;
  const size_t left = column * layer->stride_columns - layer->left;
  if (layer->window == 0) return input + (top * columns + left) * channels;
  float* to = window;
  for (size_t i = 0; i < layer->kernel_rows; i++) {
    for (size_t j = 0; j < layer->kernel_columns; j++, to += count) {
      const size_t at_row = top + i * layer->dilation_rows;
      const size_t at_column = left + j * layer->dilation_columns;
      memset(to, 0, count * sizeof *to);
      if (at_row < layer->rows && at_column < columns)
        memcpy(to, input + (at_row * columns + at_column) * channels, count * sizeof *to);
    }
  }
  return window;
}
