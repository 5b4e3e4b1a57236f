#include "float_rows.h"

void ql_float_largest(const float* x, float* to, size_t rows, size_t count) {
  for (; rows > 0; rows--, x += count) {
    float most = x[0];
    for (size_t i = 1; i < count; i++)
      if (x[i] > most) most = x[i];
    *to++ = most;
  }
}
