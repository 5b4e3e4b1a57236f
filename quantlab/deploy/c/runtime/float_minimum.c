#include "floats.h"

QL_FLOAT_ROW(ql_float_minimum, *x < *other ? *x : *other)
