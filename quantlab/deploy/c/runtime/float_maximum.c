#include "floats.h"

QL_FLOAT_ROW(ql_float_maximum, *x > *other ? *x : *other)
