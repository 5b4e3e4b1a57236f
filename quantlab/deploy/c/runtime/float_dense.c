#include "float_layer.h"

enum { BLOCK = 4 };

/* A window as spans, each one stretch of memory: rows of columns of them, in steps of numbers and
   of the weights of one output. */
typedef struct {
  const float* x;
  size_t rows, row_step, weight_row;
  size_t columns, column_step, weight_column;
  size_t length;
} spans;

static void add_four(const spans* window, const float* weights, float* to) {
  float sum0 = 0.0f, sum1 = 0.0f, sum2 = 0.0f, sum3 = 0.0f;
  const float* row = window->x;
  for (size_t i = window->rows; i > 0; i--) {
    const float* column = row;
    const float* span = weights;
    for (size_t j = window->columns; j > 0; j--) {
      const float* weight = span;
      for (const float *x = column, *end = column + window->length; x != end; x++) {
        const float number = *x;
        sum0 += weight[0] * number;
        sum1 += weight[1] * number;
        sum2 += weight[2] * number;
        sum3 += weight[3] * number;
        weight += BLOCK;
      }
      column += window->column_step;
      span += window->weight_column * BLOCK;
    }
    row += window->row_step;
    weights += window->weight_row * BLOCK;
  }
  to[0] = sum0;
  to[1] = sum1;
  to[2] = sum2;
  to[3] = sum3;
}

static void add_one(const spans* window, const float* weights, float* to) {
  float sum = 0.0f;
  const float* row = window->x;
  for (size_t i = window->rows; i > 0; i--) {
    const float* column = row;
    const float* span = weights;
    for (size_t j = window->columns; j > 0; j--) {
      for (size_t k = 0; k < window->length; k++) sum += span[k] * column[k];
      column += window->column_step;
      span += window->weight_column;
    }
    row += window->row_step;
    weights += window->weight_row;
  }
  *to = sum;
}

void ql_float_dense(const ql_float_layer* layer, const float* input, uint16_t row, uint16_t column,
                    float* unused, float* to) {
  (void)unused;
  const ql_float_window part = ql_float_find_window(layer, row, column);
  const size_t channels = layer->channels, per_group = channels / layer->groups;
  const size_t outputs = layer->outputs / layer->groups;
  const size_t num_columns = (size_t)(part.last_column - part.first_column);
  const int is_joined = layer->groups == 1 && layer->dilation_columns == 1;
  spans window;
  window.rows = (size_t)(part.last_row - part.first_row);
  window.row_step = (size_t)layer->dilation_rows * layer->columns * channels;
  window.weight_row = layer->kernel_columns * per_group;
  window.columns = is_joined ? 1 : num_columns;
  window.column_step = layer->dilation_columns * channels;
  window.weight_column = per_group;
  window.length = is_joined ? num_columns * per_group : per_group;
  if (num_columns == 0) window.rows = 0;
  size_t start = 0;
  if (window.rows > 0) {
    const int32_t top = part.top + (int32_t)part.first_row * layer->dilation_rows;
    const int32_t left = part.left + (int32_t)part.first_column * layer->dilation_columns;
    start = ((size_t)top * layer->columns + (size_t)left) * channels;
  }
  const size_t skipped = part.first_row * window.weight_row + part.first_column * per_group;
  const size_t per_output = layer->kernel_rows * window.weight_row;
  const float* weights = layer->weights;
  for (size_t group = 0; group < layer->groups; group++) {
    window.x = input + start + group * per_group;
    for (size_t rest = outputs; rest > 0;) {
      const size_t block = rest < BLOCK ? 1 : BLOCK;
      if (block == BLOCK)
        add_four(&window, weights + skipped * BLOCK, to);
      else
        add_one(&window, weights + skipped, to);
      weights += per_output * block;
      to += block;
      rest -= block;
    }
  }
}
