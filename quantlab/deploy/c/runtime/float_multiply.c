#include "floats.h"

QL_FLOAT_ROW(ql_float_multiply, *x** other)
