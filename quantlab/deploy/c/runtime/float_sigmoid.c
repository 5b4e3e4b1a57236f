#include "scalar.h"

QL_FLOAT_ROW(ql_float_sigmoid, ql_scalar_sigmoid(*x))
