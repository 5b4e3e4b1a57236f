#include <string.h>

#include "small.h"

ql_small_place ql_small_find(const ql_small* layer, const void* input, size_t number,
                             uint8_t* window) {
  ql_small_place found;
  const size_t pool = (size_t)layer->pool_rows * layer->pool_columns;
  const size_t pooled = number / pool, rest = number % pool;
  const size_t row = pooled / layer->result_columns * layer->pool_rows + rest / layer->pool_columns;
  const size_t column =
      pooled % layer->result_columns * layer->pool_columns + rest % layer->pool_columns;
  found.at = pooled * layer->outputs;
  found.is_first = rest == 0;
#ifdef QL_TRACE
  found.start = (row * layer->result_columns * layer->pool_columns + column) * layer->outputs;
#endif
  if (window == NULL) return found;
  const int32_t top = (int32_t)row * layer->stride_rows - layer->top;
  const int32_t left = (int32_t)column * layer->stride_columns - layer->left;
  /* Columns of the kernel that are within the input. */
  const int32_t first = left < 0 ? -left : 0;
  const int32_t end = layer->columns - left;
  const int32_t last = end < layer->kernel_columns ? end : layer->kernel_columns;
  const size_t channels = layer->channels;
  const size_t pitch = layer->kernel_columns * channels;
  memset(window, layer->padding, layer->kernel_rows * pitch);
  if (first >= last) return found;
  for (int32_t i = top; i < top + layer->kernel_rows; i++, window += pitch)
    if (i >= 0 && i < layer->rows)
      memcpy(
          window + (size_t)first * channels,
          (const uint8_t*)input + ((size_t)i * layer->columns + (size_t)(left + first)) * channels,
          (size_t)(last - first) * channels);
  return found;
}
