#include "floats.h"

QL_FLOAT_ROW(ql_float_softsign, *x / (1.0f + (*x < 0.0f ? -*x : *x)))
