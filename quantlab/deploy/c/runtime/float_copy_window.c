#include <string.h>

#include "float_layer.h"

void ql_float_copy_window(const ql_float_layer* layer, const float* input, size_t row,
                          size_t column, size_t count, float* window) {
  int32_t at_row = (int32_t)row * layer->stride_rows - layer->top;
  for (uint16_t i = 0; i < layer->kernel_rows; i++, at_row += layer->dilation_rows) {
    int32_t at_column = (int32_t)column * layer->stride_columns - layer->left;
    for (uint16_t j = 0; j < layer->kernel_columns; j++, at_column += layer->dilation_columns) {
      if (at_row < 0 || at_row >= layer->rows || at_column < 0 || at_column >= layer->columns) {
        for (size_t c = 0; c < count; c++) window[c] = 0.0f;
      } else {
        const size_t place = (size_t)at_row * layer->columns + (size_t)at_column;
        memcpy(window, input + place * layer->channels, count * sizeof *window);
      }
      window += count;
    }
  }
}
