#include "float_rows.h"

void ql_float_sum(const float* x, float* to, size_t rows, size_t count, float divisor) {
  for (; rows > 0; rows--, x += count) {
    float sum = 0.0f;
    for (size_t i = 0; i < count; i++) sum += x[i];
    *to++ = sum / divisor;
  }
}
