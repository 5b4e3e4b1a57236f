#include "float_layer.h"

void ql_float_run_layer(const ql_float_layer* layer, const float* input, float* window, float* to,
                        int is_backward) {
  for (uint16_t rows = 0; rows < layer->result_rows; rows++) {
    const uint16_t i = is_backward ? (uint16_t)(layer->result_rows - 1 - rows) : rows;
    for (uint16_t columns = 0; columns < layer->result_columns; columns++) {
      const uint16_t j = is_backward ? (uint16_t)(layer->result_columns - 1 - columns) : columns;
      const size_t place = (size_t)i * layer->result_columns + j;
      ql_float_run_place(layer, input, i, j, window, to + place * layer->outputs);
    }
  }
}
