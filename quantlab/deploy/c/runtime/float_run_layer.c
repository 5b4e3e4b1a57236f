#include "float_layer.h"

/* The result of one place. */
QL_NOINLINE static void run_place(const ql_float_layer* layer, const float* input, size_t row,
                                  size_t column, float* window, float* to) {
  const size_t outputs = layer->outputs;
  const float* bias = layer->bias;
  layer->place(layer, input, row, column, window, to);
  if (bias != NULL) {
    QL_ONE_BY_ONE
    for (size_t output = 0; output < outputs; output++) to[output] += bias[output];
  }
  if (layer->function != NULL) layer->function(layer->constants, to, 1, to, 1, to, 1, outputs);
}

QL_NOINLINE static void keep_largest(const float* place, float* best, size_t outputs) {
  for (; outputs > 0; outputs--, place++, best++)
    if (*place > *best) *best = *place;
}

void ql_float_run_layer(const ql_float_layer* layer, const float* input, float* scratch, float* to,
                        int is_backward) {
  const size_t outputs = layer->outputs, columns = layer->result_columns;
  const size_t count = layer->result_rows * columns;
  const size_t tile = (size_t)layer->tile_rows * layer->tile_columns;
  for (size_t done = 0; done < count; done++) {
    const size_t number = is_backward ? count - 1 - done : done;
    const size_t top = number / columns * layer->tile_stride_rows;
    const size_t left = number % columns * layer->tile_stride_columns;
    float* best = to + number * outputs;
    float* result = best;
    for (size_t i = 0; i < tile; i++) {
      run_place(layer, input, top + i / layer->tile_columns, left + i % layer->tile_columns,
                scratch, result);
      if (i > 0) keep_largest(result, best, outputs);
      result = scratch + layer->window;
    }
  }
}
