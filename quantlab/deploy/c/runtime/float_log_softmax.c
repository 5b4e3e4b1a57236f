#include "float_rows.h"
#include "scalar.h"

void ql_float_log_softmax(const float* x, float* to, size_t rows, size_t count) {
  for (; rows > 0; rows--, x += count, to += count) {
    float most = x[0], sum = 0.0f;
    for (size_t i = 1; i < count; i++)
      if (x[i] > most) most = x[i];
    for (size_t i = 0; i < count; i++) sum += ql_scalar_exp(x[i] - most);
    const float logarithm = ql_scalar_log(sum);
    QL_ONE_BY_ONE
    for (size_t i = 0; i < count; i++) to[i] = x[i] - most - logarithm;
  }
}
