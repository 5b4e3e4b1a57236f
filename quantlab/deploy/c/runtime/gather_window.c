#include <string.h>

#include "gathered.h"

/* `count` places of a group beyond the border; returns what follows them. */
static uint8_t* fill(const ql_product* layer, uint16_t group, size_t count, uint8_t* to) {
  const size_t channels = (size_t)layer->channels / layer->groups;
  if (layer->padding.at == NULL) {
    memset(to, 0, count * channels);
    return to + count * channels;
  }
  const int16_t* codes = layer->padding.at + group * channels * layer->padding.step;
  for (; count > 0; count--)
    for (size_t c = 0; c < channels; c++) *to++ = (uint8_t)codes[c * layer->padding.step];
  return to;
}

const uint8_t* ql_gather_window(const ql_product* layer, const uint8_t* input, int32_t top,
                                int32_t left, uint16_t group, uint8_t* to) {
  const size_t channels = (size_t)layer->channels / layer->groups;
  const int is_joined = layer->groups == 1 && layer->dilation_columns == 1;
  const int is_row = layer->kernel_rows == 1 && (is_joined || layer->kernel_columns == 1);
  const uint8_t* const begin = to;
  uint16_t first = 0, last = layer->kernel_columns;
  while (first < last && left + first * (int32_t)layer->dilation_columns < 0) first++;
  while (last > first && left + (last - 1) * (int32_t)layer->dilation_columns >= layer->columns)
    last--;
  for (uint16_t i = 0; i < layer->kernel_rows; i++) {
    const int32_t row = top + i * (int32_t)layer->dilation_rows;
    if (row < 0 || row >= layer->rows || first == last) {
      to = fill(layer, group, layer->kernel_columns, to);
      continue;
    }
    const size_t column = (size_t)(left + first * (int32_t)layer->dilation_columns);
    const uint8_t* from =
        input + ((size_t)row * layer->columns + column) * layer->channels + group * channels;
    if (is_row && first == 0 && last == layer->kernel_columns) return from;
    if (first > 0) to = fill(layer, group, first, to);
    const size_t places = (size_t)(last - first);
    const size_t length = is_joined ? places * channels : channels;
    for (size_t j = is_joined ? 1 : places; j > 0; j--) {
      memcpy(to, from, length);
      to += length;
      from += (size_t)layer->dilation_columns * layer->channels;
    }
    if (last < layer->kernel_columns)
      to = fill(layer, group, (size_t)(layer->kernel_columns - last), to);
  }
  return begin;
}
