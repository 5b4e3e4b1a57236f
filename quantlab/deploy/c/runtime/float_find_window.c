#include "float_layer.h"

/* The first step that is not before 0. */
static uint16_t first_within(int32_t begin, uint16_t dilation, uint16_t count) {
  if (begin >= 0) return 0;
  const int32_t first = (dilation - 1 - begin) / dilation;
  return first < count ? (uint16_t)first : count;
}

/* The first step that is not before `size`. */
static uint16_t first_behind(int32_t begin, uint16_t dilation, uint16_t count, uint16_t size) {
  if (begin + ((int32_t)count - 1) * dilation < size) return count;
  return begin >= size ? 0 : (uint16_t)((size - begin + dilation - 1) / dilation);
}

ql_float_window ql_float_find_window(const ql_float_layer* layer, uint16_t row, uint16_t column) {
  ql_float_window window;
  window.top = (int32_t)row * layer->stride_rows - layer->top;
  window.left = (int32_t)column * layer->stride_columns - layer->left;
  window.first_row = first_within(window.top, layer->dilation_rows, layer->kernel_rows);
  window.last_row = first_behind(window.top, layer->dilation_rows, layer->kernel_rows, layer->rows);
  window.first_column = first_within(window.left, layer->dilation_columns, layer->kernel_columns);
  window.last_column =
      first_behind(window.left, layer->dilation_columns, layer->kernel_columns, layer->columns);
  if (window.last_row < window.first_row) window.last_row = window.first_row;
  if (window.last_column < window.first_column) window.last_column = window.first_column;
  return window;
}
