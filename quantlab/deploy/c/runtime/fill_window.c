#include <string.h>

#include "product.h"

/* One place of the kernel that lies outside. */
static void fill_place(const ql_product* layer, ql_type type, uint8_t* to) {
  for (size_t c = 0; c < layer->channels; c++) {
    const int32_t code = layer->padding.at == NULL ? 0 : layer->padding.at[c * layer->padding.step];
    ql_store_row(to, type, c, &code, 1);
  }
}

void ql_fill_window(const ql_product* layer, const ql_window* window, const void* input,
                    ql_type type, void* scratch) {
  const size_t place = layer->channels * (type == QL_S16 ? sizeof(int16_t) : sizeof(int8_t));
  uint8_t* to = scratch;
  for (uint16_t i = 0; i < layer->kernel_rows; i++) {
    const int is_row = i >= window->first_row && i < window->last_row;
    const size_t row = (size_t)(window->top + i * layer->dilation_rows);
    for (uint16_t j = 0; j < layer->kernel_columns; j++, to += place) {
      if (is_row && j >= window->first_column && j < window->last_column) {
        const size_t column = (size_t)(window->left + j * layer->dilation_columns);
        memcpy(to, (const uint8_t*)input + (row * layer->columns + column) * place, place);
      } else {
        fill_place(layer, type, to);
      }
    }
  }
}
