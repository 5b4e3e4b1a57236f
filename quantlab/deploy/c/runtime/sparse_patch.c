#include <string.h>

#include "sparse.h"

static size_t size_of(ql_type type) { return type == QL_S16 ? sizeof(int16_t) : sizeof(int8_t); }

/* Columns that lie outside. */
static uint8_t* fill(const ql_product* layer, ql_type type, uint8_t* to, size_t columns) {
  const size_t count = columns * layer->channels;
  if (layer->padding.at == NULL) {
    memset(to, 0, count * size_of(type));
  } else {
    size_t c = 0;
    for (size_t i = 0; i < count; i++) {
      const int16_t code = layer->padding.at[c * layer->padding.step];
      if (type == QL_S16)
        memcpy(to + i * sizeof code, &code, sizeof code);
      else
        to[i] = (uint8_t)code;
      if (++c == layer->channels) c = 0;
    }
  }
  return to + count * size_of(type);
}

ql_patch_sizes ql_sizes_of_patch(const ql_product* layer) {
  ql_patch_sizes sizes;
  const size_t gaps = (size_t)(layer->kernel_columns - 1) * layer->dilation_columns;
  sizes.step = (size_t)layer->stride_columns * layer->channels;
  sizes.reach = (gaps + 1) * layer->channels;
  sizes.pitch = sizes.reach + (QL_SPARSE_PLACES - 1) * sizes.step;
  return sizes;
}

void ql_fill_patch(const ql_product* layer, const void* input, ql_type type, uint16_t row,
                   uint16_t column, void* patch) {
  const size_t place = layer->channels * size_of(type);
  const int32_t width = (int32_t)(ql_sizes_of_patch(layer).pitch / layer->channels);
  const int32_t left = (int32_t)column * layer->stride_columns - layer->left;
  const int32_t end = left + width;
  /* Columns of the input that are there. */
  const int32_t first = left < 0 ? 0 : left;
  const int32_t last = end > layer->columns ? layer->columns : end;
  int32_t top = (int32_t)row * layer->stride_rows - layer->top;
  uint8_t* to = patch;
  for (uint16_t k = layer->kernel_rows; k > 0; k--, top += layer->dilation_rows) {
    if (top < 0 || top >= layer->rows || first >= last) {
      to = fill(layer, type, to, (size_t)width);
      continue;
    }
    const size_t from = (size_t)top * layer->columns + (size_t)first;
    const size_t count = (size_t)(last - first) * place;
    to = fill(layer, type, to, (size_t)(first - left));
    memcpy(to, (const uint8_t*)input + from * place, count);
    to = fill(layer, type, to + count, (size_t)(end - last));
  }
}
