#include "float_layer.h"

void ql_float_run_place(const ql_float_layer* layer, const float* input, uint16_t row,
                        uint16_t column, float* window, float* to) {
  layer->place(layer, input, row, column, window, to);
  if (layer->bias != NULL)
    for (size_t output = 0; output < layer->outputs; output++) to[output] += layer->bias[output];
  if (layer->function != NULL)
    layer->function(layer->constants, to, 1, to, 1, to, 1, layer->outputs);
}
