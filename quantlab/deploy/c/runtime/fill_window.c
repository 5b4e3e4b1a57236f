#include <string.h>

#include "product.h"

/* Places of the kernel that lie outside. */
static void fill_places(const ql_product* layer, ql_type type, uint8_t* to, size_t count) {
  const size_t size = type == QL_S16 ? sizeof(int16_t) : sizeof(int8_t);
  if (layer->padding.step == 0 && size == 1) {
    memset(to, layer->padding.at == NULL ? 0 : (uint8_t)*layer->padding.at,
           count * layer->channels);
    return;
  }
  for (size_t place = 0; place < count; place++)
    for (size_t c = 0; c < layer->channels; c++, to += size) {
      const int16_t code =
          layer->padding.at == NULL ? 0 : layer->padding.at[c * layer->padding.step];
      if (type == QL_S16)
        memcpy(to, &code, sizeof code);
      else
        *to = (uint8_t)code;
    }
}

void ql_fill_window(const ql_product* layer, const ql_window* window, const void* input,
                    ql_type type, void* scratch) {
  const size_t place = layer->channels * (type == QL_S16 ? sizeof(int16_t) : sizeof(int8_t));
  const int is_joined = layer->dilation_columns == 1;
  uint8_t* to = scratch;
  for (uint16_t i = 0; i < layer->kernel_rows; i++) {
    const int is_row = i >= window->first_row && i < window->last_row;
    const uint16_t first = is_row ? window->first_column : layer->kernel_columns;
    const uint16_t last = is_row ? window->last_column : layer->kernel_columns;
    const size_t row = (size_t)(window->top + i * layer->dilation_rows) * layer->columns;
    if (first > 0) fill_places(layer, type, to, first);
    to += first * place;
    for (uint16_t j = first; j < last; j++) {
      const size_t column = (size_t)(window->left + j * layer->dilation_columns);
      const size_t count = is_joined ? (size_t)(last - first) : 1;
      memcpy(to, (const uint8_t*)input + (row + column) * place, count * place);
      to += count * place;
      if (is_joined) break;
    }
    if (last < layer->kernel_columns) {
      fill_places(layer, type, to, (size_t)(layer->kernel_columns - last));
      to += (size_t)(layer->kernel_columns - last) * place;
    }
  }
}
