#include "scalar.h"

/* S. L. Moshier, Cephes, tanhf. */
float ql_scalar_tanh(float x) {
  const float size = x < 0.0f ? -x : x;
  if (size < 0.625f) {
    const float square = x * x;
    float y = -0x1.75e1d4p-8f;
    y = y * square + 0x1.52269cp-6f;
    y = y * square + -0x1.b83c5ap-5f;
    y = y * square + 0x1.110726p-3f;
    y = y * square + -0x1.555532p-2f;
    return y * square * x + x;
  }
  const float y = 1.0f - 2.0f / (ql_scalar_exp(size + size) + 1.0f);
  return x < 0.0f ? -y : y;
}
