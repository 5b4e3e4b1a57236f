#include "float_layer.h"

void ql_float_grouped(const ql_float_layer* layer, const float* input, size_t row, size_t column,
                      float* window, float* to) {
  const size_t channels = layer->channels / layer->groups;
  const size_t length = (size_t)layer->kernel_rows * layer->kernel_columns * channels;
  const float* weight = layer->weights;
  for (size_t group = layer->groups; group > 0; group--) {
    const float* begin = ql_float_window(layer, input, row, column, channels, window);
    for (size_t output = layer->outputs / layer->groups; output > 0; output--) {
      float sum = 0.0f;
      const float* x = begin;
      for (size_t i = length; i > 0; i--, weight++) {
        const float number = *x++;
        if (QL_LEAVES_OUT_ZEROS && ql_is_zero(number)) continue;
        sum += *weight * number;
      }
      *to++ = sum;
    }
    input += channels;
  }
}
