#include "scalar.h"

QL_FLOAT_ROW(ql_float_tanh, ql_scalar_tanh(*x))
