#include "scalar.h"

QL_FLOAT_ROW(ql_float_mish, *x* ql_scalar_tanh(ql_scalar_softplus(*x, 1.0f, 20.0f)))
