#include "product.h"

/* The steps of a kernel that begin at `begin` and lie within `size`: from *first to before *last.
 */
static void within(int32_t begin, uint16_t dilation, uint16_t count, uint16_t size, uint16_t* first,
                   uint16_t* last) {
  uint16_t step = 0;
  while (step < count && begin + step * dilation < 0) step++;
  *first = step;
  while (step < count && begin + step * dilation < size) step++;
  *last = step;
}

ql_window ql_window_of(const ql_product* layer, uint16_t row, uint16_t column) {
  ql_window window;
  window.top = (int32_t)row * layer->stride_rows - layer->top;
  window.left = (int32_t)column * layer->stride_columns - layer->left;
  within(window.top, layer->dilation_rows, layer->kernel_rows, layer->rows, &window.first_row,
         &window.last_row);
  within(window.left, layer->dilation_columns, layer->kernel_columns, layer->columns,
         &window.first_column, &window.last_column);
  window.is_whole = window.first_row == 0 && window.last_row == layer->kernel_rows &&
                    window.first_column == 0 && window.last_column == layer->kernel_columns;
  return window;
}
