#include <string.h>

#include "float_layer.h"

void ql_float_copy_window(const ql_float_layer* layer, const float* input, uint16_t row,
                          uint16_t column, float* window) {
  const ql_float_window part = ql_float_find_window(layer, row, column);
  const size_t channels = layer->channels;
  for (uint16_t i = 0; i < layer->kernel_rows; i++) {
    const int is_row = i >= part.first_row && i < part.last_row;
    for (uint16_t j = 0; j < layer->kernel_columns; j++, window += channels) {
      if (!is_row || j < part.first_column || j >= part.last_column) {
        for (size_t c = 0; c < channels; c++) window[c] = 0.0f;
        continue;
      }
      const size_t at_row = (size_t)(part.top + (int32_t)i * layer->dilation_rows);
      const size_t at_column = (size_t)(part.left + (int32_t)j * layer->dilation_columns);
      memcpy(window, input + (at_row * layer->columns + at_column) * channels,
             channels * sizeof *window);
    }
  }
}
