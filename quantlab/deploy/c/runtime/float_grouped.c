#include "float_layer.h"

void ql_float_grouped(const ql_float_layer* layer, const float* input, size_t row, size_t column,
                      float* window, float* to) {
  const size_t channels = layer->channels / layer->groups;
  const size_t outputs = layer->outputs / layer->groups;
  const size_t per_output = (size_t)layer->kernel_rows * layer->kernel_columns * channels;
  const ql_float_spans spans = {window, 1, 0, 0, per_output};
  const float* weights = layer->weights;
  for (uint16_t group = 0; group < layer->groups; group++) {
    ql_float_copy_window(layer, input, row, column, channels, window);
    weights = ql_float_add_spans(&spans, weights, 0, per_output, outputs, to);
    input += channels;
    to += outputs;
  }
}
