#include "scalar.h"

QL_FLOAT_ROW(ql_float_exponential, ql_scalar_exp(*x))
