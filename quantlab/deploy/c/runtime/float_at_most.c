#include "floats.h"

QL_FLOAT_ROW(ql_float_at_most, *x > constants[0] ? constants[0] : *x)
