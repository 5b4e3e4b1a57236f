#include "floats.h"

QL_FLOAT_ROW(ql_float_divide, *x / *other)
