#include "scalar.h"

float ql_scalar_softplus(float x, float factor, float end) {
  const float scaled = x * factor;
  return scaled > end ? x : ql_scalar_log(1.0f + ql_scalar_exp(scaled)) / factor;
}
