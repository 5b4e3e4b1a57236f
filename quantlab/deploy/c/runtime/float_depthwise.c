#include "float_layer.h"

void ql_float_depthwise(const ql_float_layer* layer, const float* input, uint16_t row,
                        uint16_t column, float* unused, float* to) {
  (void)unused;
  const ql_float_window part = ql_float_find_window(layer, row, column);
  const size_t channels = layer->channels;
  const size_t num_columns = (size_t)(part.last_column - part.first_column);
  const size_t rows = num_columns == 0 ? 0 : (size_t)(part.last_row - part.first_row);
  const size_t row_step = (size_t)layer->dilation_rows * layer->columns * channels;
  const size_t column_step = layer->dilation_columns * channels;
  const size_t weight_row = layer->kernel_columns * channels;
  size_t start = 0;
  if (rows > 0) {
    const int32_t top = part.top + (int32_t)part.first_row * layer->dilation_rows;
    const int32_t left = part.left + (int32_t)part.first_column * layer->dilation_columns;
    start = ((size_t)top * layer->columns + (size_t)left) * channels;
  }
  const float* first_weight =
      layer->weights + part.first_row * weight_row + part.first_column * channels;
  for (size_t c = 0; c < channels; c++) {
    float sum = 0.0f;
    const float* x_row = input + start + c;
    const float* weights = first_weight + c;
    for (size_t i = rows; i > 0; i--) {
      const float* x = x_row;
      const float* weight = weights;
      for (size_t j = num_columns; j > 0; j--) {
        sum += *weight * *x;
        weight += channels;
        x += column_step;
      }
      x_row += row_step;
      weights += weight_row;
    }
    to[c] = sum;
  }
}
