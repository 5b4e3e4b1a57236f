#include "tile_product.h"

static uint16_t least(size_t one, size_t other) { return (uint16_t)(one < other ? one : other); }

/* Let a layer begin at a row of its result; return how many rows of the input lie before those that
   are left to it. */
static size_t begin_at(ql_product* layer, size_t row) {
  const uint32_t begin = (uint32_t)row * layer->stride_rows;
  if (begin < layer->top) {
    layer->top = (uint16_t)(layer->top - begin);
    return 0;
  }
  uint32_t skipped = begin - layer->top;
  if (skipped > layer->rows) skipped = layer->rows;
  layer->top = 0;
  layer->rows = (uint16_t)(layer->rows - skipped);
  return (size_t)skipped;
}

void ql_tile_product(const ql_slice* slices, const ql_product* layer, const void* input,
                     int32_t* sums, const ql_place* places, void* scratch, uint8_t size,
                     uint16_t number, uint16_t rows, uint16_t outputs) {
  const size_t per_slice = (layer->result_rows + (size_t)rows - 1) / rows;
  const size_t slice = number / per_slice, row = number % per_slice * rows;
  const size_t first = slice * outputs, start = row * layer->result_columns * layer->outputs;
  const uint16_t of_tile = least(layer->outputs - first, outputs);
  const uint16_t columns = layer->result_columns;
  const ql_tile tile = {{NULL, NULL}, &layer->finish, places,         sums,    start,
                        first,        columns,        layer->outputs, columns, of_tile};
  ql_product part = *layer;
  const size_t skipped = begin_at(&part, row);
  part.result_rows = least(layer->result_rows - row, rows);
  part.outputs = of_tile;
  part.weights = slices[slice].weights;
  if (part.bias != NULL) part.bias += first;
  ql_let_tile_finish(&part.finish);
  slices[slice].function(&part,
                         (const uint8_t*)input + skipped * layer->columns * layer->channels * size,
                         NULL, &tile.as_place, scratch, 0);
}
