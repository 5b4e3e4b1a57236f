#include "floats.h"

QL_FLOAT_ROW(ql_float_leaky, *x < 0.0f ? *x * constants[0] : *x)
