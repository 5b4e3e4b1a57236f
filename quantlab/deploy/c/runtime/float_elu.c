#include "scalar.h"

QL_FLOAT_ROW(ql_float_elu, *x < 0.0f ? constants[0] * (ql_scalar_exp(*x) - 1.0f) : *x)
