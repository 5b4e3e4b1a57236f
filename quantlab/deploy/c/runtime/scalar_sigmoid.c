#include "scalar.h"

float ql_scalar_sigmoid(float x) { return 1.0f / (1.0f + ql_scalar_exp(-x)); }
