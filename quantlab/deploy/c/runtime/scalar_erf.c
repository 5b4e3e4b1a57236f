#include "scalar.h"

/* M. Abramowitz, I. A. Stegun, Handbook of Mathematical Functions, 1964, 7.1.26: off by 1.5e-7 at
   most, before rounding. */
float ql_scalar_erf(float x) {
  const float size = x < 0.0f ? -x : x;
  const float t = 1.0f / (1.0f + 0x1.4f740ap-2f * size);
  float y = 0x1.0fb844p+0f;
  y = y * t + -0x1.7401c6p+0f;
  y = y * t + 0x1.6be1c6p+0f;
  y = y * t + -0x1.23531cp-2f;
  y = y * t + 0x1.04f20cp-2f;
  y = 1.0f - y * t * ql_scalar_exp(-(size * size));
  return x < 0.0f ? -y : y;
}
