#include "float_layer.h"

enum { BLOCK = 4 };

QL_NOINLINE static void add_four(const float* x, size_t length, const float* weights, float* to) {
  float sum0 = 0.0f, sum1 = 0.0f, sum2 = 0.0f, sum3 = 0.0f;
  const size_t second = 2 * length, third = 3 * length;
  const float* end = x + length;
  for (; x != end; weights++) {
    const float number = *x++;
    if (QL_LEAVES_OUT_ZEROS && ql_is_zero(number)) continue;
    sum0 += weights[0] * number;
    sum1 += weights[length] * number;
    sum2 += weights[second] * number;
    sum3 += weights[third] * number;
  }
  to[0] = sum0;
  to[1] = sum1;
  to[2] = sum2;
  to[3] = sum3;
}

void ql_float_dense(const ql_float_layer* layer, const float* input, size_t row, size_t column,
                    float* window, float* to) {
  const size_t channels = layer->channels, outputs = layer->outputs;
  const size_t length = (size_t)layer->kernel_rows * layer->kernel_columns * channels;
  const float* weights = layer->weights;
  const float* x = ql_float_window(layer, input, row, column, channels, window);
  for (size_t output = 0; output < outputs; output += BLOCK) {
    /* The last four may be some of those before once more. */
    if (output > outputs - BLOCK) output = outputs - BLOCK;
    add_four(x, length, weights + output * length, to + output);
  }
}
