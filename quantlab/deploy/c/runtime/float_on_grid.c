#include "floats.h"

/* constants: the scale, and the lowest and highest code less the zero point. */
static float on_grid(const float* constants, float x) {
  const float moved = x / constants[0] + 0.5f;
  const float code = moved < constants[1]   ? constants[1]
                     : moved > constants[2] ? constants[2]
                                            : moved;
  float whole;
  if (code != code) return code;
  whole = (float)(int32_t)code;
  return (whole > code ? whole - 1.0f : whole) * constants[0];
}

QL_FLOAT_ROW(ql_float_on_grid, on_grid(constants, *x))
