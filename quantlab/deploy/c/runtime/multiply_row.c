#include "rows.h"

void ql_multiply_row(const void* constants, size_t first, const int32_t* x, const int32_t* other,
                     int32_t* y, size_t count) {
  const ql_multiply* rule = constants;
  (void)first;
  for (size_t i = 0; i < count; i++)
    y[i] = (x[i] - rule->left_zero) * (other[i] - rule->right_zero);
}
