#include "scalar.h"

QL_FLOAT_ROW(ql_float_silu, *x* ql_scalar_sigmoid(*x))
