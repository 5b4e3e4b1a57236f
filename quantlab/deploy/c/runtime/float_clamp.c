#include "floats.h"

QL_FLOAT_ROW(ql_float_clamp, *x<constants[0] ? constants[0] : *x> constants[1] ? constants[1] : *x)
