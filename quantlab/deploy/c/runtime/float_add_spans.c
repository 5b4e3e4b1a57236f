#include "float_layer.h"

enum { BLOCK = 4 };

QL_NOINLINE static void add_four(const ql_float_spans* spans, const float* weights, float* to) {
  float sum0 = 0.0f, sum1 = 0.0f, sum2 = 0.0f, sum3 = 0.0f;
  const float* row = spans->x;
  size_t rest = spans->rows;
  do {
    const float* weight = weights;
    for (const float *x = row, *end = row + spans->length; x != end; x++) {
      const float number = *x;
      sum0 += weight[0] * number;
      sum1 += weight[1] * number;
      sum2 += weight[2] * number;
      sum3 += weight[3] * number;
      weight += BLOCK;
    }
    row += spans->row_step;
    weights += spans->weight_row * BLOCK;
  } while (--rest > 0);
  to[0] = sum0;
  to[1] = sum1;
  to[2] = sum2;
  to[3] = sum3;
}

QL_NOINLINE static void add_one(const ql_float_spans* spans, const float* weights, float* to) {
  float sum = 0.0f;
  const float* row = spans->x;
  size_t rest = spans->rows;
  do {
    for (size_t k = 0; k < spans->length; k++) sum += weights[k] * row[k];
    row += spans->row_step;
    weights += spans->weight_row;
  } while (--rest > 0);
  *to = sum;
}

const float* ql_float_add_spans(const ql_float_spans* spans, const float* weights, size_t skipped,
                                size_t per_output, size_t outputs, float* to) {
  while (outputs > 0) {
    const size_t block = outputs < BLOCK ? 1 : BLOCK;
    (block == 1 ? add_one : add_four)(spans, weights + skipped * block, to);
    weights += per_output * block;
    to += block;
    outputs -= block;
  }
  return weights;
}
