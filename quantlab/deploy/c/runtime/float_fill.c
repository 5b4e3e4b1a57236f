#include "float_walk.h"

void ql_float_fill(float* to, float number, size_t count) {
  for (; count > 0; count--) *to++ = number;
}
