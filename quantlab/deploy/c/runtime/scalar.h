/* Functions of one number, from additions, products and quotients alone. NaN gives NaN. */
#ifndef QL_SCALAR_H
#define QL_SCALAR_H

#include "floats.h"

/* e^x; 0 below -87, and beyond 88 as of 88. */
float ql_scalar_exp(float x);
/* The natural logarithm of a normal number above 0. */
float ql_scalar_log(float x);
float ql_scalar_tanh(float x);
/* 1 / (1 + e^-x). */
float ql_scalar_sigmoid(float x);
/* The error function. */
float ql_scalar_erf(float x);
/* log(1 + e^(factor * x)) / factor, or x where factor * x is beyond `end`. */
float ql_scalar_softplus(float x, float factor, float end);

#endif
