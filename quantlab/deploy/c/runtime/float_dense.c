#include "float_layer.h"

void ql_float_dense(const ql_float_layer* layer, const float* input, size_t row, size_t column,
                    float* unused, float* to) {
  (void)unused;
  const ql_float_part part = ql_float_find_part(layer, input, row, column);
  const size_t channels = layer->channels;
  ql_float_spans spans;
  spans.x = part.x;
  spans.rows = part.rows;
  spans.row_step = (size_t)layer->dilation_rows * layer->columns * channels;
  spans.weight_row = layer->kernel_columns * channels;
  spans.length = part.columns * channels;
  ql_float_add_spans(&spans, layer->weights, part.first * channels,
                     layer->kernel_rows * spans.weight_row, layer->outputs, to);
}
