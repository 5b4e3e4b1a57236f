#include "product.h"

/* The steps of a kernel that begin at `begin` and lie within `size`: from *first to before *last.
 */
QL_NOINLINE static void within(int32_t begin, uint16_t dilation, uint16_t count, uint16_t size,
                               uint16_t* first, uint16_t* last) {
  uint16_t step = 0;
  while (step < count && begin + step * dilation < 0) step++;
  *first = step;
  while (step < count && begin + step * dilation < size) step++;
  *last = step;
}

ql_numbers ql_find_window(const ql_product* layer, const void* input, ql_type type, uint16_t row,
                          uint16_t column, void* scratch) {
  const int32_t top = (int32_t)row * layer->stride_rows - layer->top;
  const int32_t left = (int32_t)column * layer->stride_columns - layer->left;
  const int32_t last_row = top + (int32_t)(layer->kernel_rows - 1) * layer->dilation_rows;
  const int32_t last_column = left + (int32_t)(layer->kernel_columns - 1) * layer->dilation_columns;
  const int is_whole =
      top >= 0 && left >= 0 && last_row < layer->rows && last_column < layer->columns;
  ql_window window = {top, left, 0, layer->kernel_rows, 0, layer->kernel_columns};
  if (!is_whole) {
    within(top, layer->dilation_rows, layer->kernel_rows, layer->rows, &window.first_row,
           &window.last_row);
    within(left, layer->dilation_columns, layer->kernel_columns, layer->columns,
           &window.first_column, &window.last_column);
  }
  ql_numbers numbers;
  if (scratch != NULL && (!is_whole || layer->is_gathered)) {
    ql_fill_window(layer, &window, input, type, scratch);
    numbers.x = scratch;
    numbers.column_step = layer->channels;
    numbers.row_step = (size_t)layer->kernel_columns * layer->channels;
    numbers.first_row = numbers.first_column = 0;
    numbers.last_row = layer->kernel_rows;
    numbers.last_column = layer->kernel_columns;
    return numbers;
  }
  const size_t size = type == QL_S16 ? sizeof(int16_t) : sizeof(int8_t);
  const int32_t first_row = top + window.first_row * layer->dilation_rows;
  const int32_t first_column = left + window.first_column * layer->dilation_columns;
  const size_t place = (size_t)first_row * layer->columns + (size_t)first_column;
  numbers.x = (const uint8_t*)input + place * layer->channels * size;
  numbers.column_step = (size_t)layer->dilation_columns * layer->channels;
  numbers.row_step = (size_t)layer->dilation_rows * layer->columns * layer->channels;
  numbers.first_row = window.first_row;
  numbers.last_row = window.last_row;
  numbers.first_column = window.first_column;
  numbers.last_column = window.last_column;
  return numbers;
}
