#include "floats.h"

QL_FLOAT_ROW(ql_float_prelu, *x < 0.0f ? *x * *other : *x)
