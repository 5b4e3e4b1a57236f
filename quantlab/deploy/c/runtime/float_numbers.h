/* Inputs of a model's own test. */
#ifndef QL_FLOAT_NUMBERS_H
#define QL_FLOAT_NUMBERS_H

#include "ql.h"

/* Put floats from -1 to 1, made of four bytes each, in their place. */
void ql_float_numbers(void* bytes, size_t size);

#endif
