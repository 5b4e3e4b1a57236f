#include "floats.h"

QL_FLOAT_ROW(ql_float_absolute, *x < 0.0f ? -*x : *x)
