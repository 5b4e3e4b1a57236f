#include <string.h>

#include "float_layer.h"

static void run_tile(const ql_float_tile* tile, const float* input, uint16_t top, uint16_t left,
                     float* window, float* place, float* to) {
  const size_t outputs = tile->layer->outputs;
  for (uint16_t i = 0; i < tile->rows; i++) {
    for (uint16_t j = 0; j < tile->columns; j++) {
      ql_float_run_place(tile->layer, input, (uint16_t)(top + i), (uint16_t)(left + j), window,
                         place);
      if (i == 0 && j == 0) memcpy(to, place, outputs * sizeof *to);
      for (size_t output = 0; output < outputs; output++)
        if (place[output] > to[output]) to[output] = place[output];
    }
  }
}

void ql_float_run_tiles(const ql_float_tile* tile, const float* input, float* window, float* place,
                        float* to, int is_backward) {
  for (uint16_t rows = 0; rows < tile->result_rows; rows++) {
    const uint16_t i = is_backward ? (uint16_t)(tile->result_rows - 1 - rows) : rows;
    for (uint16_t columns = 0; columns < tile->result_columns; columns++) {
      const uint16_t j = is_backward ? (uint16_t)(tile->result_columns - 1 - columns) : columns;
      const size_t at = (size_t)i * tile->result_columns + j;
      run_tile(tile, input, (uint16_t)(i * tile->stride_rows), (uint16_t)(j * tile->stride_columns),
               window, place, to + at * tile->layer->outputs);
    }
  }
}
