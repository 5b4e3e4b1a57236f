#include "float_layer.h"

void ql_float_depthwise(const ql_float_layer* layer, const float* input, size_t row, size_t column,
                        float* unused, float* to) {
  (void)unused;
  const ql_float_part part = ql_float_find_part(layer, input, row, column);
  const size_t channels = layer->channels;
  const size_t row_step = (size_t)layer->dilation_rows * layer->columns * channels;
  const size_t column_step = layer->dilation_columns * channels;
  const size_t weight_row = layer->kernel_columns * channels;
  const float* first_x = part.x;
  const float* first_weight = (const float*)layer->weights + part.first * channels;
  for (size_t c = channels; c > 0; c--) {
    float sum = 0.0f;
    const float* x_row = first_x++;
    const float* weights = first_weight++;
    for (size_t i = part.rows; i > 0; i--) {
      const float* x = x_row;
      const float* weight = weights;
      for (size_t j = part.columns; j > 0; j--) {
        if (!QL_LEAVES_OUT_ZEROS || !ql_is_zero(*x)) sum += *weight * *x;
        weight += channels;
        x += column_step;
      }
      x_row += row_step;
      weights += weight_row;
    }
    *to++ = sum;
  }
}
