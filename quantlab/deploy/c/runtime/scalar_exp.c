#include <string.h>

#include "scalar.h"

/* S. L. Moshier, Cephes, expf: 2^n times a polynomial of what is left, at most log(2) / 2. */
float ql_scalar_exp(float x) {
  if (!(x >= -87.0f)) return x < -87.0f ? 0.0f : x;
  if (x > 88.0f) x = 88.0f;
  const float scaled = x * 0x1.715476p+0f;
  const int32_t n = (int32_t)(scaled < 0.0f ? scaled - 0.5f : scaled + 0.5f);
  const float rest = x - (float)n * 0x1.63p-1f - (float)n * -0x1.bd0106p-13f;
  float y = 0x1.a0d2cep-13f;
  y = y * rest + 0x1.6e879cp-10f;
  y = y * rest + 0x1.11121p-7f;
  y = y * rest + 0x1.555382p-5f;
  y = y * rest + 0x1.555554p-3f;
  y = y * rest + 0x1p-1f;
  y = y * (rest * rest) + rest + 1.0f;
  const uint32_t bits = (uint32_t)(n + 127) << 23;
  float power;
  memcpy(&power, &bits, sizeof power);
  return y * power;
}
