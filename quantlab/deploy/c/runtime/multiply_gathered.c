#include "gathered.h"

/* All outputs of a group, as many at a time as there is room for in a row. start: of the place. */
static void multiply_group(const ql_product* layer, const ql_gathered* x, uint16_t group,
                           ql_outputs_function* add, int32_t* sums, const ql_place* places,
                           size_t start) {
  const size_t outputs = (size_t)layer->outputs / layer->groups;
  int32_t row[QL_ROW];
  for (size_t first = group * outputs, rest = outputs; rest > 0;) {
    const size_t count = rest < QL_ROW ? rest : QL_ROW;
    for (size_t i = 0; i < count; i++) row[i] = x->shared;
    if (layer->bias != NULL)
      for (size_t i = 0; i < count; i++)
        row[i] = (int32_t)((uint32_t)row[i] + (uint32_t)layer->bias[first + i]);
    add(layer, x, first, count, row);
    ql_finish_row(&layer->finish, row, sums, places, start, first, count);
    first += count;
    rest -= count;
  }
}

void ql_multiply_gathered(const ql_product* layer, const void* input, int32_t* sums,
                          const ql_place* places, void* scratch, size_t num_words, int is_backward,
                          ql_prepare_function* prepare, ql_outputs_function* add) {
  ql_gathered x;
  x.length = (size_t)layer->kernel_rows * layer->kernel_columns * (layer->channels / layer->groups);
  x.words = scratch;
  /* Without words there may be no scratch. */
  uint8_t* behind = num_words == 0 ? scratch : (uint8_t*)(x.words + num_words);
  for (uint16_t rows = 0; rows < layer->result_rows; rows++) {
    const uint16_t i = is_backward ? (uint16_t)(layer->result_rows - 1 - rows) : rows;
    const int32_t top = (int32_t)i * layer->stride_rows - layer->top;
    for (uint16_t columns = 0; columns < layer->result_columns; columns++) {
      const uint16_t j = is_backward ? (uint16_t)(layer->result_columns - 1 - columns) : columns;
      const int32_t left = (int32_t)j * layer->stride_columns - layer->left;
      const size_t start = ((size_t)i * layer->result_columns + j) * layer->outputs;
      for (uint16_t group = 0; group < layer->groups; group++) {
        x.bytes = ql_gather_window(layer, input, top, left, group, behind);
        prepare(layer, &x);
        multiply_group(layer, &x, group, add, sums, places, start);
      }
    }
  }
}
