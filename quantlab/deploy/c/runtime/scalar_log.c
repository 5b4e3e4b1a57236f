#include <string.h>

#include "scalar.h"

/* S. L. Moshier, Cephes, logf: the exponent, and a polynomial of the rest between sqrt(1/2) and
   sqrt(2). */
float ql_scalar_log(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  if (bits << 1 > UINT32_C(0xFF000000)) return x;
  int32_t n = (int32_t)(bits >> 23) - 126;
  bits = (bits & UINT32_C(0x7FFFFF)) | UINT32_C(0x3F000000);
  float rest;
  memcpy(&rest, &bits, sizeof rest);
  if (rest < 0x1.6a09e6p-1f) {
    n--;
    rest = rest + rest - 1.0f;
  } else {
    rest = rest - 1.0f;
  }
  const float square = rest * rest;
  float y = 0x1.204376p-4f;
  y = y * rest + -0x1.d7a37p-4f;
  y = y * rest + 0x1.de4a34p-4f;
  y = y * rest + -0x1.fcba9ep-4f;
  y = y * rest + 0x1.23d37ep-3f;
  y = y * rest + -0x1.555cap-3f;
  y = y * rest + 0x1.999d58p-3f;
  y = y * rest + -0x1.fffff8p-3f;
  y = y * rest + 0x1.555554p-2f;
  y = y * rest * square;
  y = y + (float)n * -0x1.bd0106p-13f;
  y = y - 0.5f * square;
  return rest + y + (float)n * 0x1.63p-1f;
}
