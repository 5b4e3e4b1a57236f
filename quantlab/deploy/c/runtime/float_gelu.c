#include "scalar.h"

/* x times the normal distribution's share below x: 0x1.6a09e6p-1 is the root of 1/2. */
QL_FLOAT_ROW(ql_float_gelu, 0.5f * *x * (1.0f + ql_scalar_erf(*x * 0x1.6a09e6p-1f)))
