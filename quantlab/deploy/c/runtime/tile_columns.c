#include "tile_columns.h"

static uint16_t least(size_t one, size_t other) { return (uint16_t)(one < other ? one : other); }

static size_t tiles_of(size_t count, size_t most) { return (count + most - 1) / most; }

/* What `count` windows next to one another reach. */
static uint16_t reach(uint16_t count, uint16_t stride, uint16_t kernel, uint16_t dilation) {
  return (uint16_t)((count - 1) * stride + (kernel - 1) * dilation + 1);
}

/* Of `count` steps that begin at `begin`: the first that lies within `size`, and the one behind the
   last. */
static void within(int32_t begin, uint16_t count, uint16_t size, uint16_t* first, uint16_t* last) {
  const int32_t end = begin + count;
  *first = begin >= 0 ? 0 : least((size_t)-begin, count);
  *last = end <= size ? count : begin >= size ? 0 : (uint16_t)(size - begin);
  if (*last < *first) *last = *first;
}

/* Copy what the windows of `part` reach from a place of the result on into a patch, which becomes
   the input of `part`. */
static void take_patch(const ql_product* layer, const void* input, ql_type type, size_t row,
                       size_t column, ql_product* part, void* patch) {
  ql_product as_kernel = *layer;
  ql_window window;
  window.top = (int32_t)row * layer->stride_rows - layer->top;
  window.left = (int32_t)column * layer->stride_columns - layer->left;
  part->rows =
      reach(part->result_rows, layer->stride_rows, layer->kernel_rows, layer->dilation_rows);
  part->columns = reach(part->result_columns, layer->stride_columns, layer->kernel_columns,
                        layer->dilation_columns);
  part->top = part->left = 0;
  within(window.top, part->rows, layer->rows, &window.first_row, &window.last_row);
  within(window.left, part->columns, layer->columns, &window.first_column, &window.last_column);
  as_kernel.kernel_rows = part->rows;
  as_kernel.kernel_columns = part->columns;
  as_kernel.dilation_rows = as_kernel.dilation_columns = 1;
  ql_fill_window(&as_kernel, &window, input, type, patch);
}

void ql_tile_columns(const ql_slice* slices, const ql_product* layer, const void* input,
                     int32_t* sums, const ql_place* places, void* scratch, void* patch,
                     ql_type type, uint16_t number, uint16_t rows, uint16_t outputs,
                     uint16_t columns) {
  const size_t per_row = tiles_of(layer->result_columns, columns);
  const size_t per_slice = per_row * tiles_of(layer->result_rows, rows);
  const size_t slice = number / per_slice, rest = number % per_slice;
  const size_t row = rest / per_row * rows, column = rest % per_row * columns;
  const size_t first = slice * outputs;
  const size_t start = (row * layer->result_columns + column) * layer->outputs;
  ql_product part = *layer;
  part.result_rows = least(layer->result_rows - row, rows);
  part.result_columns = least(layer->result_columns - column, columns);
  part.outputs = least(layer->outputs - first, outputs);
  part.weights = slices[slice].weights;
  if (part.bias != NULL) part.bias += first;
  const ql_tile tile = {
      {NULL, NULL},   &layer->finish,      places,      sums, start, first, layer->result_columns,
      layer->outputs, part.result_columns, part.outputs};
  take_patch(layer, input, type, row, column, &part, patch);
  ql_let_tile_finish(&part.finish);
  slices[slice].function(&part, patch, NULL, &tile.as_place, scratch, 0);
}
