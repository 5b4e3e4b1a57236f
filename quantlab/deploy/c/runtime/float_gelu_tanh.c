#include "scalar.h"

/* D. Hendrycks, K. Gimpel, Gaussian Error Linear Units, 2016, arXiv:1606.08415, section 2;
   0x1.988454p-1 is the root of 2 / pi. */
static float gelu(float x) {
  return 0.5f * x * (1.0f + ql_scalar_tanh(0x1.988454p-1f * (x + 0x1.6e4e26p-5f * x * x * x)));
}

QL_FLOAT_ROW(ql_float_gelu_tanh, gelu(*x))
