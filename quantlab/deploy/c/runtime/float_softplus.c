#include "scalar.h"

QL_FLOAT_ROW(ql_float_softplus, ql_scalar_softplus(*x, constants[0], constants[1]))
